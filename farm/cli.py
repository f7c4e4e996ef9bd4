"""The `farm` command. Each command parses, calls one function, and prints."""

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from redis import RedisError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from farm import logs
from farm.commands import accounts, camera_paths, chunk_logs, nodes, remote
from farm.commands.shared import Data, Json, console, database, fail, settings_with
from farm.commands.templates import app as templates_app
from farm.errors import CannotStart, FarmError, NodeRefused
from farm.orders.render_settings import parse, parse_pairs, read_pairs
from farm.settings import Settings

HELP = "Plinth: a Blender-backed render farm. Start with `farm up`; `farm doctor` helps when something is wrong."


class OneLine(TyperGroup):
    """Trouble with a file, the database or a FARM_ variable is one line on stderr: it is no fault of the program."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            problem = error.errors()[0]
            fail(f"FARM_{str(problem['loc'][0]).upper()} is {problem['input']!r}: {problem['msg']}")
        except FarmError as error:
            fail(error.message)
        except OperationalError as error:
            fail(f"The database does not answer: {error.orig}")
        except RedisError as error:
            fail(f"Redis does not answer: {error}")
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read our output has gone: typer ends quietly
                raise
            fail(str(error))


app = typer.Typer(cls=OneLine, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)
db_app = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(accounts.accounts_app, name="accounts")
app.add_typer(accounts.keys_app, name="keys")
app.add_typer(db_app, name="db")
app.add_typer(templates_app, name="templates")
app.add_typer(camera_paths.app, name="camera-paths")
app.add_typer(remote.app, name="remote")
app.add_typer(nodes.app, name="nodes")
app.command("logs")(chunk_logs.show)

PLAIN_LINE_EVERY = 2.0  # seconds between progress lines where there is no terminal


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless told otherwise.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8000 unless told otherwise.")] = None,
    data: Data = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Workers to start.")] = 1,
) -> None:
    """Start everything on this machine: API, Redis, SQLite, folder storage and workers. Ctrl-C ends it."""
    from farm.commands import up as whole

    settings = settings_with(host=host, port=port, data=data)
    logs.configure(settings.log_level)
    try:
        whole.run(settings, workers=workers, say=console.print)
    except CannotStart as problem:
        fail(str(problem))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data: Data = None,
) -> None:
    """Run the API alone."""
    import uvicorn

    from api.app import create_app

    settings = settings_with(host=host, port=port, data=data)
    logs.configure(settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
    )


@app.command()
def worker(
    gpu: Annotated[int | None, typer.Option(min=0, help="The GPU to draw on, 0 the first.")] = None,
    hosts: Annotated[int, typer.Option(min=1, max=64, help="Nodes to start side by side, NAME-1 and so on.")] = 1,
    name: Annotated[str | None, typer.Option(help="The node's name; the machine's unless told otherwise.")] = None,
    tags: Annotated[str, typer.Option(help="Words for people, comma-separated, shown by `farm nodes list`.")] = "",
    data: Data = None,
) -> None:
    """Run one node: a worker with its own Blender. SIGTERM lets the work at hand finish; a second one gives it back."""
    from farm.commands import worker_group as several
    from farm.nodes import gpus, names
    from farm.processes import exit_codes
    from farm.worker import worker as working

    settings = settings_with(data=data)
    logs.configure(settings.log_level)
    words = [tag.strip() for tag in tags.split(",") if tag.strip()]
    try:
        if gpu is not None:
            os.environ |= gpus.choose(gpu)
        if hosts > 1:
            several.run(settings, name or names.default(gpu), hosts, words)
        else:
            working.run(settings, name=name, gpu=gpu, tags=words)
    except NodeRefused as refusal:
        fail(str(refusal), exit_codes.REFUSED)


@app.command()
def reaper(data: Data = None) -> None:
    """Take work back from workers that fell silent, and ring for work that waits. `farm up` has one built in."""
    from farm.scheduling import reaper as reaping

    settings = settings_with(data=data)
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    reaping.run(settings, stop)


@app.command()
def render(
    model: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A .glb or self-contained .gltf.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The video to write: .mp4, for pro .mov. The poster goes beside it.")
    ],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A render setting, key=value. Repeatable.")] = None,
) -> None:
    """Render one model on this machine, without a server."""
    from farm.rendering import local

    settings = Settings()
    logs.configure("warning")
    try:
        request = parse_pairs(set_ or [])
        with local.render(model, request, out, settings) as job:
            follow(job.steps, job.frames)
    except FarmError as error:
        fail(error.message)
    console.print(f"{out} and {out.with_suffix('.png')}")


@app.command()
def dataset(
    model: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A .glb, a self-contained .gltf, or a scan's .zip.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The dataset to write: .zip.")],
    quality: Annotated[str, typer.Option(help="Views x pixels a side: 100x800, 196x1024 or 400x2048.")] = "100x800",
    coverage: Annotated[str, typer.Option(help="From where the views look: hemisphere or sphere.")] = "hemisphere",
    set_: Annotated[list[str] | None, typer.Option("--set", help="A render setting, key=value. Repeatable.")] = None,
) -> None:
    """Make a training set for NeRF and Gaussian splatting of one model on this machine, without a server."""
    from farm.rendering import local

    settings = Settings()
    logs.configure("warning")
    asked = {"output": "dataset", "datasetQuality": quality, "coverage": coverage}
    try:
        request = parse(asked | read_pairs(set_ or []))
        with local.dataset(model, request, out, settings) as job:
            follow(job.steps, job.frames, "views")
    except FarmError as error:
        fail(error.message)
    console.print(str(out))


@app.command()
def doctor(data: Data = None, as_json: Json = False) -> None:
    """Examine what the farm stands on, and say how to mend what is not right."""
    from farm.commands import doctor as examiner

    logs.configure("error")
    checks = examiner.examine(settings_with(data=data))
    if as_json:
        print(json.dumps([vars(check) for check in checks], indent=2))
    else:
        for check in checks:
            mark = "[green]ok [/]" if check.ok else "[red]bad[/]"
            console.print(f"{mark} [bold]{check.name:9}[/] {check.found}")
            if check.fix:
                console.print(f"              {check.fix}")
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


@db_app.command("upgrade")
def upgrade_database(data: Data = None) -> None:
    """Bring the tables to this version's."""
    with database(data) as truth:
        console.print(f"Database at version {truth.version()}")


def follow(steps: Iterator[int], frames: int, what: str = "frames") -> None:
    """Draw a progress bar with frames (or `what` else there is), their number a second and the time left.

    Where there is no terminal, plain lines.
    """
    began = last_line = time.monotonic()
    columns = (
        TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TextColumn(what),
        TextColumn("{task.fields[rate]:.2f} " + what + "/s"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("rendering", total=frames, rate=0.0)
        for done in steps:
            seconds = time.monotonic() - began
            progress.update(task, completed=done, rate=done / seconds)
            if not console.is_terminal and (time.monotonic() - last_line > PLAIN_LINE_EVERY or done == frames):
                last_line = time.monotonic()
                left = seconds / done * (frames - done)
                console.print(f"{done}/{frames} {what}, {done / seconds:.2f} {what}/s, {left:.0f} s left")


def main() -> None:
    app()


if __name__ == "__main__":
    main()

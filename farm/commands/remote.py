"""`farm remote`: use a remote farm over its API."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, cast

import typer
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

from farm.commands.shared import Json, Set, console, fail, print_json, settings_with
from farm.orders.render_settings import RenderSettings as OrderSettings
from farm.orders.render_settings import read_pairs
from plinth_client import ConnectionFailed, Plinth, PlinthError, Render, RenderSettings
from plinth_client.responses import to_json

PLAIN_PROGRESS_INTERVAL_SECONDS = 5.0  # between progress lines when stdout is not a terminal
FileKind = Literal["video", "web", "poster", "poster-full", "thumb", "thumb-still", "bundle"]

DEFAULTS = OrderSettings().to_wire()

app = typer.Typer(no_args_is_help=True, help="A remote farm, over its API.")

Url = Annotated[str | None, typer.Option(help="URL of the farm (or FARM_API_URL).")]
Key = Annotated[str | None, typer.Option(help="An API key of that farm (or FARM_API_KEY).")]
RenderId = Annotated[str, typer.Argument(help="The render's id.")]


@contextmanager
def _client(url: str | None, key: str | None) -> Iterator[Plinth]:
    """A client of the chosen farm. Errors of the API become one line on stderr."""
    settings = settings_with(api_url=url, api_key=key)
    if not settings.api_key:
        fail("An API key of the farm is missing: set FARM_API_KEY or pass --key")
    try:
        with Plinth(settings.api_url, settings.api_key) as plinth:
            yield plinth
    except ConnectionFailed as error:
        fail(f"{error.message}. Is this the farm's URL (FARM_API_URL or --url), and is it up?")
    except PlinthError as error:
        fail(error.message)


@app.command()
def upload(
    model: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A .glb, .gltf or zipped OBJ scan.")],
    set_: Set = None,
    title: Annotated[str | None, typer.Option(help="Title of the model.")] = None,
    sku: Annotated[str | None, typer.Option(help="Stock-keeping unit of the model.")] = None,
    external_id: Annotated[str | None, typer.Option(help="The model's id in your own system.")] = None,
    tags: Annotated[str | None, typer.Option(help="Comma-separated tags of the model.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Upload a model and queue a render of it."""
    with _client(url, key) as plinth, _bar("uploading", DownloadColumn()) as bar:
        task = bar.add_task("uploading", total=None)
        uploaded = plinth.models.upload(
            model,
            _render_settings(set_),
            title=title,
            sku=sku,
            external_id=external_id,
            tags=None if tags is None else tags.split(","),
            on_progress=lambda sent, total: bar.update(task, completed=sent, total=total),
        )
    known = " (already uploaded)" if uploaded.duplicate else ""
    _print(uploaded, as_json, f"Model {uploaded.model_id}{known}, render {uploaded.render_id}")


@app.command()
def render(
    model_id: Annotated[str, typer.Argument(help="The model's id, as printed by `farm remote upload`.")],
    set_: Set = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="Data of your own, key=value, returned with the render. Repeatable.")
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Queue another render of an uploaded model."""
    own = _metadata(metadata or [])
    with _client(url, key) as plinth:
        queued = plinth.renders.create(model_id, _render_settings(set_), metadata=own)
    _print(queued, as_json, f"Render {queued.id}")


@app.command("list")
def list_renders(
    status: Annotated[str | None, typer.Option(help="Only renders with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of renders.")] = 20,
    url: Url = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """List renders, newest first."""
    with _client(url, key) as plinth:
        page = plinth.renders.list(status=status, limit=limit)  # type: ignore[arg-type] # validated by the farm
    if as_json:
        print_json(to_json(page.items))
        return
    for item in page.items:
        what = f"model {item.model_id}  {_variant(item)}"
        console.print(f"{item.id}  {item.created_at:%Y-%m-%d %H:%M}  {what}  {_status_line(item)}", markup=False)
    if page.total > len(page.items):
        console.print(f"... of {page.total}")


@app.command()
def status(render_id: RenderId, url: Url = None, key: Key = None, as_json: Json = False) -> None:
    """Show the status of a render."""
    with _client(url, key) as plinth:
        found = plinth.renders.get(render_id)
    _print(found, as_json, _status_line(found))


@app.command()
def wait(
    render_id: RenderId,
    timeout: Annotated[float | None, typer.Option(min=0, help="Timeout in seconds. Default: none.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Wait until a render is done, and show its progress. Fails if the render fails."""
    with _client(url, key) as plinth, _bar("{task.description}", MofNCompleteColumn()) as bar:
        task = bar.add_task("pending", total=None)
        last_printed, line = 0.0, ""
        left = TimeLeft()

        def show(render: Render) -> None:
            nonlocal last_printed, line
            now = time.monotonic()
            estimate = left.after(render, now)
            if render.progress:
                bar.update(
                    task,
                    description=f"{render.status}{estimate}",
                    completed=render.progress.frames,
                    total=render.progress.of,
                )
            status = _status_line(render)
            due = now - last_printed > PLAIN_PROGRESS_INTERVAL_SECONDS or render.status == "done"
            if not console.is_terminal and status != line and due:
                last_printed, line = now, status
                console.print(line + estimate, markup=False)

        plinth.renders.wait(render_id, on_progress=show, timeout=timeout)


@app.command()
def download(
    render_id: RenderId,
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")],
    what: Annotated[FileKind, typer.Option(help="The file to download.")] = "video",
    url: Url = None,
    key: Key = None,
) -> None:
    """Download one of a render's files. Repeat the command to resume an interrupted download."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with _client(url, key) as plinth, _bar("downloading", DownloadColumn()) as bar:
        task = bar.add_task("downloading", total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        match what:
            case "video" | "web":
                quality: Literal["web"] | None = "web" if what == "web" else None
                plinth.renders.download_video(render_id, out, quality=quality, on_progress=show)
            case "poster" | "poster-full":
                size: Literal["full"] | None = "full" if what == "poster-full" else None
                plinth.renders.download_poster(render_id, out, quality=size, on_progress=show)
            case "thumb":
                plinth.renders.download_thumb(render_id, out, on_progress=show)
            case "thumb-still":
                plinth.renders.download_thumb_still(render_id, out, on_progress=show)
            case "bundle":
                plinth.renders.download_bundle(render_id, out, on_progress=show)
    console.print(str(out), markup=False)


def _print(response: object, as_json: bool, line: str) -> None:
    """Print a response of the API as JSON with its names, or as the line."""
    if as_json:
        print_json(to_json(response))
    else:
        console.print(line, markup=False)


def _render_settings(pairs: list[str] | None) -> RenderSettings:
    """Settings from key=value pairs, which only the farm validates."""
    return cast(RenderSettings, read_pairs(pairs or []))


def _metadata(pairs: list[str]) -> dict[str, str]:
    """Texts by key from key=value pairs, which only the farm validates."""
    for pair in pairs:
        if "=" not in pair:
            fail(f"--metadata must have the form key=value, not {pair!r}")
    return dict(pair.split("=", 1) for pair in pairs)


def _variant(render: Render) -> str:
    """The settings that tell a render apart from others of its model: those that are not defaults."""
    if render.is_system_preview:
        return "preview"
    chosen = {name: value for name, value in render.render_settings.items() if value != DEFAULTS.get(name)}
    shown = {"quality": render.render_settings.get("quality"), **chosen} if "output" not in chosen else chosen
    return " ".join(f"{name}={_as_typed(value)}" for name, value in shown.items())


def _as_typed(value: object) -> str:
    """A setting's value as `--set` takes it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)


class TimeLeft:
    """The time until all frames of a render are drawn, at the speed since its video was first seen in progress."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None  # a time in seconds, and the number of frames then

    def after(self, render: Render, now: float) -> str:
        """The time that is left, as an addition to the render's status; "" while there is no speed."""
        if render.status != "video-processing" or not render.progress:
            self._since = None
            return ""
        frames = render.progress.frames
        if self._since is None or frames < self._since[1]:  # fewer: a chunk has to be drawn again
            self._since = now, frames
        drawn, seconds = frames - self._since[1], now - self._since[0]
        return f", about {(render.progress.of - frames) * seconds / drawn:.0f} s left" if drawn else ""


def _status_line(render: Render) -> str:
    """A render's status in one line."""
    frames = f", {render.progress.frames}/{render.progress.of} frames" if render.progress else ""
    return f"{render.status}{frames}{f': {render.error_message}' if render.error_message else ''}"


def _bar(title: str, column: DownloadColumn | MofNCompleteColumn) -> Progress:
    """A progress bar, shown on a terminal only."""
    return Progress(TextColumn(title), BarColumn(), column, console=console, disable=not console.is_terminal)

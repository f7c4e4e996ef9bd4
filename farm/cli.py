"""The `farm` command: assembles the commands of farm/commands/ and prints expected errors as one line."""

import errno
from typing import Any

import typer
from pydantic import ValidationError
from redis import RedisError
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from farm.commands import (
    accounts,
    audit,
    camera_paths,
    database,
    doctor,
    keys,
    logs,
    models,
    nodes,
    queue,
    reaper,
    remote,
    render,
    renders,
    serve,
    templates,
    up,
    worker,
)
from farm.commands.shared import fail
from farm.errors import FarmError

HELP = "Plinth: a Blender-backed render farm. Start with `farm up`; `farm doctor` finds and explains problems."
SEE_DOCTOR = "`farm doctor` says how to correct it"


class OneLineErrors(TyperGroup):
    """Prints an expected error (file, database, Redis, FARM_ variable) as one line on stderr, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            problem = error.errors()[0]
            fail(f"FARM_{str(problem['loc'][0]).upper()} is {problem['input']!r}: {problem['msg']}")
        except FarmError as error:
            fail(error.message)
        except OperationalError as error:
            fail(f"The database does not respond: {_first_line(error.orig)}. {SEE_DOCTOR}")
        except RedisError as error:
            fail(f"Redis does not respond: {_first_line(error)}. {SEE_DOCTOR}")
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has closed it: typer exits quietly
                raise
            fail(str(error))


def _first_line(error: object) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


app = typer.Typer(
    cls=OneLineErrors, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP
)
app.command("up")(up.start_farm)
app.command("serve")(serve.serve_api)
app.command("worker")(worker.run_worker)
app.command("reaper")(reaper.run_reaper)
app.command("render")(render.render_video)
app.command("dataset")(render.render_dataset)
app.command("doctor")(doctor.print_report)
app.command("logs")(logs.print_logs)
app.command("queue")(queue.print_queue)
app.command("audit")(audit.print_audit)
app.add_typer(accounts.app, name="accounts")
app.add_typer(keys.app, name="keys")
app.add_typer(database.app, name="db")
app.add_typer(templates.app, name="templates")
app.add_typer(camera_paths.app, name="camera-paths")
app.add_typer(remote.app, name="remote")
app.add_typer(nodes.app, name="nodes")
app.add_typer(models.app, name="models")
app.add_typer(renders.app, name="renders")


def main() -> None:
    app()


if __name__ == "__main__":
    main()

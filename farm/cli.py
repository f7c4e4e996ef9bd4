"""The `farm` command: assembles the commands of farm/commands/ and prints expected errors as one line."""

import errno
from typing import Any

import typer
from pydantic import ValidationError
from redis import RedisError
from sqlalchemy.exc import ArgumentError, OperationalError
from typer.core import TyperGroup

from api.validation_messages import complaint
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
from farm.errors import FarmError, reason_of

WRONG_USAGE = 2  # exit status
QUOTES = "'"
HELP = "Plinth: a Blender-backed render farm. Start with `farm up`; `farm doctor` finds and explains problems."
SEE_DOCTOR = "`farm doctor` says how to correct it"


class OneLineErrors(TyperGroup):
    """Prints an expected error (file, database, Redis, FARM_ variable) as one line on stderr, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            problem = error.errors()[0]
            fail(f"FARM_{str(problem['loc'][0]).upper()} is {problem['input']!r}: {complaint(problem)}")
        except typer.BadParameter as error:
            if not (error.param and isinstance(error.__cause__, ValidationError)):
                raise
            fail(f"{error.param.get_error_hint().strip(QUOTES)}: {_in_words(error.__cause__)}", WRONG_USAGE)
        except ArgumentError:
            fail(
                "FARM_DATABASE_URL is no URL of a SQLite or PostgreSQL database, such as postgresql://user:password@host/plinth"
            )
        except FarmError as error:
            fail(error.message)
        except OperationalError as error:
            fail(f"The database does not respond: {reason_of(error).rstrip('.')}. {SEE_DOCTOR}")
        except RedisError as error:
            fail(f"Redis does not respond: {reason_of(error).rstrip('.')}. {SEE_DOCTOR}")
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has closed it: typer exits quietly
                raise
            fail(str(error))


def _in_words(error: ValidationError) -> str:
    """What is wrong with the value of an option or argument."""
    problem = error.errors()[0]
    if problem["type"] == "value_error":  # typer's, which lists the choices
        return str(problem["ctx"]["error"])
    return f"{complaint(problem)}, not {problem['input']!r}"


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

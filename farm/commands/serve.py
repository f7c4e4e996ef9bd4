"""`farm serve`: the API alone."""

from contextlib import suppress
from typing import Annotated

import typer

from farm import logs
from farm.commands.shared import Data, settings_with
from farm.processes import child_process


def serve_api(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: FARM_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: FARM_PORT.")] = None,
    data: Data = None,
) -> None:
    """Run the API alone."""
    from api.server import make_server, raise_file_limit

    settings = settings_with(host=host, port=port, data=data)
    logs.configure(settings.log_level)
    raise_file_limit()
    child_process.close_to_others()  # children read clients' files
    with suppress(KeyboardInterrupt):
        make_server(settings).run()

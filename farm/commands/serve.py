"""`farm serve`: the API alone."""

from typing import Annotated

import typer

from farm import logs
from farm.commands.shared import Data, settings_with

GRACEFUL_SHUTDOWN_SECONDS = 10


def serve_api(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: FARM_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: FARM_PORT.")] = None,
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
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )

"""A real API server on loopback."""

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from api.app import create_app
from farm.db.session import Database
from farm.settings import Settings
from tests.support.polling import until


@pytest.fixture
def url(settings: Settings, database: Database) -> Iterator[str]:  # noqa: ARG001 - migrated
    """The address of the API."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        assert thread.is_alive()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)

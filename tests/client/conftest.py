"""A real server on the loopback, and clients of it."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from api.app import create_app
from farm.db.session import Database
from farm.settings import Settings
from plinth_client import Plinth
from tests.api.conftest import finished as finished
from tests.api.helpers import glb
from tests.conftest import Client


@pytest.fixture
def url(settings: Settings, database: Database) -> Iterator[str]:  # noqa: ARG001 - migrated
    """Where the API listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def chair(tmp_path: Path) -> Path:
    """A model's file."""
    path = tmp_path / "chair.glb"
    path.write_bytes(glb(bytes(300_000)))
    return path


@pytest.fixture
def plinth(url: str, client: Client) -> Iterator[Plinth]:
    """A client with the account's key."""
    with Plinth(url, client.key) as plinth:
        yield plinth

"""A real API server on loopback."""

import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import structlog

from api.server import make_server
from farm.db.session import Database
from farm.settings import Settings
from tests.support.polling import until


@pytest.fixture
def url(settings: Settings, database: Database) -> Iterator[str]:  # noqa: ARG001 - migrated
    """The address of the API. It logs only warnings and errors, as tests examine the output of their process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        assert thread.is_alive()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)

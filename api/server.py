"""Runs the API in uvicorn, within the limits of files, connections and time that the settings and the system give."""

import asyncio
import errno
import resource
import socket
import time
from functools import partial
from typing import Any

import structlog
import uvicorn

from api.app import create_app
from api.connection import Connection, Limits
from farm.settings import Settings

log = structlog.get_logger()

GRACEFUL_SHUTDOWN_SECONDS = 10
# Connections that the kernel queues, and that asyncio accepts in one go. Above that it waits for the next one.
BACKLOG = 128
MAX_FILES = 16_384
# Connections that are accepted but not yet counted, databases, Redis, logs, and files that are being sent.
RESERVED_FILES = 6 * BACKLOG
FILES_PER_CONNECTION = 2  # the connection, and the file that it uploads
ACCEPT_LOG_SECONDS = 60.0
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Server(uvicorn.Server):
    """uvicorn's server, which logs connections that it cannot accept once a minute instead of thousands of times."""

    _accept_logged = -ACCEPT_LOG_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._handle_exception)
        await super().startup(sockets)
        if self.started:
            log.info("api_ready", host=self.config.host, port=self.config.port)

    def _handle_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES and "socket" in context):
            loop.default_exception_handler(context)
        elif time.monotonic() - self._accept_logged >= ACCEPT_LOG_SECONDS:
            self._accept_logged = time.monotonic()
            log.error("accept_failed", error=str(error))


def make_server(settings: Settings) -> Server:
    """A server of the API, which listens on the settings' address when it runs without sockets of its own."""
    limits = Limits(
        max_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        settings.head_timeout,
        settings.body_timeout,
        settings.client_rate,
    )
    protocol: Any = partial(Connection, limits=limits)
    return Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            http=protocol,
            ws="none",
            loop="asyncio",
            log_config=None,
            log_level="error",  # its warnings are about single requests
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        )
    )


def max_connections(files: int) -> int:
    """The number of connections that a process which may have `files` open files can hold."""
    files = MAX_FILES if files == resource.RLIM_INFINITY else min(files, MAX_FILES)
    return max((files - RESERVED_FILES) // FILES_PER_CONNECTION, files // 4)


def raise_file_limit() -> None:
    """Let this process open up to MAX_FILES files, as far as the system allows it. 1024 is a usual default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))

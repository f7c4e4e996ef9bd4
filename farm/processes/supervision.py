"""Supervision of child processes: restarting them, and ending them together."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from farm.processes import child_process

log = structlog.get_logger()

MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 30.0
HEALTHY_SECONDS = 60.0  # a child that ran for this long starts its next backoff at the minimum again
POLL_SECONDS = 0.2


@dataclass
class Child:
    """One process, restarted whenever it ends by itself and is still `wanted`."""

    name: str
    command: Sequence[str | Path]
    wanted: Callable[[], bool] = lambda: True
    process: subprocess.Popen[bytes] = field(init=False)
    retired: bool = field(init=False, default=False)
    _started_at: float = field(init=False, default=0.0)
    _restart_at: float | None = field(init=False, default=None)
    _backoff: float = field(init=False, default=MIN_BACKOFF_SECONDS)

    def start(self) -> None:
        self.process = child_process.start(self.command)
        self._started_at, self._restart_at = time.monotonic(), None

    def restart_if_dead(self) -> None:
        """Restart after a backoff that doubles each time, so that a broken child does not use up the CPU.

        A child that is not wanted is retired: after the maximum backoff it is checked again whether it is.
        """
        if self.process.poll() is None:
            return
        if self._restart_at is None:
            self._schedule_restart()
        elif time.monotonic() >= self._restart_at:
            self.retired = not self.wanted()
            if self.retired:
                self._restart_at = time.monotonic() + MAX_BACKOFF_SECONDS
            else:
                self.start()

    def signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def _schedule_restart(self) -> None:
        now, code = time.monotonic(), self.process.returncode
        if now - self._started_at >= HEALTHY_SECONDS:
            self._backoff = MIN_BACKOFF_SECONDS
        self.retired = not self.wanted()
        if self.retired:
            log.info("child_retired", child=self.name, code=code)
            self._restart_at = now + MAX_BACKOFF_SECONDS
        else:
            log.warning("child_restarted", child=self.name, code=code, after_seconds=self._backoff)
            self._restart_at = now + self._backoff
            self._backoff = min(self._backoff * 2, MAX_BACKOFF_SECONDS)


def run_until_stopped(children: Sequence[Child]) -> None:
    """Run children until SIGINT or SIGTERM, or until all are retired. Each such signal is passed on to all of them."""
    child_process.adopt_orphans()
    received: list[int] = []
    passed_on = 0
    with on_stop_signal(lambda: received.append(1)):
        for child in children:
            child.start()
        while any(child.process.poll() is None for child in children) or not (
            passed_on or all(child.retired for child in children)
        ):
            while passed_on < len(received):
                for child in children:
                    child.signal(signal.SIGTERM)
                passed_on += 1
            if not passed_on:
                for child in children:
                    child.restart_if_dead()
            child_process.reap_orphans([child.process.pid for child in children])
            time.sleep(POLL_SECONDS)
    child_process.reap_orphans([], kill=True)


@contextmanager
def on_stop_signal(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` on SIGINT and SIGTERM while the block runs."""
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def exit_on_stop_signal(code: int) -> Iterator[Callable[[], bool]]:
    """Exit with `code` on SIGINT and SIGTERM while the block runs. Yields whether such a signal has arrived.

    Python ignores an exit that is raised while a finalizer runs, so the block has to ask before it ends.
    """
    received: list[int] = []

    def stop() -> None:
        received.append(1)
        sys.exit(code)

    with on_stop_signal(stop):
        yield lambda: bool(received)


def ended(children: Sequence[Child], seconds: float) -> bool:
    """Whether all children end within `seconds`."""
    deadline = time.monotonic() + seconds
    while any(child.process.poll() is None for child in children):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

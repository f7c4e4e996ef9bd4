"""Keeping child processes running, and ending them together."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from farm.processes import child_process

log = structlog.get_logger()

LONGEST_PAUSE = 30.0  # seconds
LOOK = 0.2  # seconds between two looks at the children


@dataclass
class Child:
    """One process, started again whenever it ends by itself and is still `wanted`."""

    name: str
    command: Sequence[str | Path]
    wanted: Callable[[], bool] = lambda: True
    process: subprocess.Popen[bytes] = field(init=False)
    retired: bool = field(init=False, default=False)
    next_start: float = 0.0
    pause: float = 1.0

    def start(self) -> None:
        self.process = child_process.start(self.command)

    def start_again_if_dead(self) -> None:
        """Restart after a pause that doubles with every death, so that a broken child does not spin.

        One that is not wanted is retired: it is looked at again after the longest pause.
        """
        if self.process.poll() is None:
            return
        if not self.next_start:
            self.retired = not self.wanted()
            code = self.process.returncode
            if self.retired:
                log.info("a part of the farm ended as it should", part=self.name, code=code)
            else:
                log.warning("a part of the farm ended; starting it again", part=self.name, code=code)
            self.next_start = time.monotonic() + (LONGEST_PAUSE if self.retired else self.pause)
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        elif time.monotonic() >= self.next_start:
            self.retired = not self.wanted()
            self.next_start = time.monotonic() + LONGEST_PAUSE if self.retired else 0.0
            if not self.retired:
                self.start()

    def signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


def keep_together(children: Sequence[Child]) -> None:
    """Run children until all are retired. SIGINT and SIGTERM are passed on, each time one comes; then all shall end."""
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
                    child.start_again_if_dead()
            child_process.bury_orphans([child.process.pid for child in children])
            time.sleep(LOOK)
    child_process.bury_orphans([], kill=True)


@contextmanager
def on_stop_signal(stop: Callable[[], object]) -> Iterator[None]:
    """Have SIGINT and SIGTERM call `stop` while the block runs."""
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ended(children: Sequence[Child], seconds: float) -> bool:
    """Whether all children end within so many seconds."""
    deadline = time.monotonic() + seconds
    while any(child.process.poll() is None for child in children):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

"""Waiting for a condition."""

import time
from collections.abc import Callable
from typing import TypeVar, overload

T = TypeVar("T")

TIMEOUT_SECONDS = 120.0
INTERVAL_SECONDS = 0.05


@overload
def until(probe: Callable[[], T | None], *, timeout_seconds: float = ...) -> T: ...


@overload
def until(probe: Callable[[], T], accept: Callable[[T], object], *, timeout_seconds: float = ...) -> T: ...


def until(
    probe: Callable[[], T], accept: Callable[[T], object] = bool, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> T:
    """Call `probe` until `accept` is true of its result, and return that result. Raises TimeoutError.

    Default: a true result is accepted.
    """
    deadline = time.monotonic() + timeout_seconds
    while not accept(result := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not accepted within {timeout_seconds} s; the last result was {result!r}")
        time.sleep(INTERVAL_SECONDS)
    return result

"""Logging never stops the work."""

import contextlib
import sys
from pathlib import Path

import pytest
import structlog

from farm import logs


def test_ignores_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    before = structlog.get_config()
    with Path("/dev/full").open("w", buffering=1) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        logs.configure("info")
        try:
            structlog.get_logger().info("not_written")
        finally:
            structlog.configure(**before)
            with contextlib.suppress(OSError):
                stderr.close()

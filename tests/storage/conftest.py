"""The file that storage tests store."""

from pathlib import Path

import pytest

from farm.storage.protocol import BLOCK_BYTES


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 3 * (BLOCK_BYTES // 256) + b"end")
    return path

"""A client of a real server, and a model's file for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from plinth_client import Plinth
from tests.support.clients import Client
from tests.support.glb import glb


@pytest.fixture
def chair(tmp_path: Path) -> Path:
    """A model's file."""
    path = tmp_path / "chair.glb"
    path.write_bytes(glb(bytes(300_000)))
    return path


@pytest.fixture
def plinth(url: str, client: Client) -> Iterator[Plinth]:
    """A client with the account's key."""
    with Plinth(url, client.key) as plinth:
        yield plinth

"""The clients of a real server, and a model's file for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from plinth_client import Plinth
from tests.client.driven import KINDS, Connect, driven
from tests.support.clients import Client
from tests.support.glb import glb


@pytest.fixture
def chair(tmp_path: Path) -> Path:
    """A model's file."""
    path = tmp_path / "chair.glb"
    path.write_bytes(glb(bytes(300_000)))
    return path


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens one of the two clients: the test runs with both."""
    return Plinth if request.param == "synchronous" else driven


@pytest.fixture
def plinth(url: str, client: Client, connect: Connect) -> Iterator[Plinth]:
    """A client with the account's key."""
    with connect(url, client.key) as plinth:
        yield plinth

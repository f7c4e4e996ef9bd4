"""One Blender host for these tests, warm between them as in a farm."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.blender.client import Blender, BlenderHost

FRAME_TIMEOUT = 300.0  # seconds; EEVEE compiles its shaders first on a cold machine


@pytest.fixture(scope="session")
def warm_host() -> Iterator[BlenderHost]:
    with tempfile.TemporaryDirectory() as folder:  # a short path: a socket's may have 107 bytes
        host = BlenderHost(Path(folder))
        host.start()
        yield host
        host.stop()


@pytest.fixture
def blender(warm_host: BlenderHost) -> Iterator[Blender]:
    warm_host.ensure_ready()
    with Blender(warm_host.socket_path, FRAME_TIMEOUT) as blender:
        yield blender


@pytest.fixture
def own_host() -> Iterator[BlenderHost]:
    """A host that the test may kill."""
    with tempfile.TemporaryDirectory() as folder:
        host = BlenderHost(Path(folder))
        host.start()
        yield host
        host.kill()

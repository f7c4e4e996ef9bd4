"""A farm whose processes may be killed, stopped and starved."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.consistency import assert_consistent, assert_no_processes
from tests.support.farms import Farm, farm_up

# Leases are short, so that the farm notices soon; a chunk is one GOP, so that a render has several; no frame is kept
# that could end a render before anything happens to it.
FRAGILE: dict[str, Any] = {
    "FARM_ENGINE": "cycles",
    "FARM_LEASE_SECONDS": "3",
    "FARM_RETRY_SECONDS": "0.1",
    "FARM_CHUNK_SECONDS": "0.001",
    "FARM_FRAME_CACHE_BYTES": "0",
    "FARM_LOG_LEVEL": "error",
}


@pytest.fixture(scope="session")
def one_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm_up(tmp_path_factory.mktemp("fragile"), workers=2, **FRAGILE) as running:
        yield running
    assert_no_processes(running)


@pytest.fixture
def fragile(one_farm: Farm) -> Iterator[Farm]:
    """A farm with two workers; checked for consistency after each test."""
    yield one_farm
    assert_consistent(one_farm, workers=2)

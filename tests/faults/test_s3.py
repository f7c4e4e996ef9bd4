"""A farm whose S3 fails in the middle of a chunk."""

import contextlib
from collections.abc import Iterator

import pytest

from farm.db.session import Database
from farm.db.tables import Render
from tests.support import s3
from tests.support.consistency import assert_consistent, assert_no_processes
from tests.support.farms import FRAGILE, Farm, farm_on_s3
from tests.support.interruptions import failed_attempts, order_render, worker_paused
from tests.support.polling import until

S3_TIMEOUT_SECONDS = 1.0
LEASE_SECONDS = 10.0  # long, as no attempt may be lost here because the machine is busy
ENDLESS = 10**9


@pytest.fixture(scope="module")
def door(s3_server: str) -> Iterator[s3.Door]:
    with s3.door(s3_server) as door:
        yield door


@pytest.fixture(scope="module")
def one_farm_on_s3(tmp_path_factory: pytest.TempPathFactory, door: s3.Door) -> Iterator[Farm]:
    options = FRAGILE | {"FARM_S3_TIMEOUT": str(S3_TIMEOUT_SECONDS), "FARM_LEASE_SECONDS": str(LEASE_SECONDS)}
    with farm_on_s3(tmp_path_factory.mktemp("s3"), door, **options) as running:
        yield running
    assert_no_processes(running)


@pytest.fixture
def farm(one_farm_on_s3: Farm) -> Iterator[Farm]:
    """A farm that stores its files behind the door; checked for consistency after each test."""
    yield one_farm_on_s3
    assert_consistent(one_farm_on_s3, workers=1)


def test_loses_no_attempt_to_an_s3_that_responds_503(farm: Farm, door: s3.Door) -> None:
    render = order_render(farm)
    with worker_paused(farm):
        door.busy = ENDLESS
    until(lambda: has_released_a_chunk(farm, render))
    assert door.busy < ENDLESS
    door.busy = 0
    farm.wait_until_done(render)
    assert failed_attempts(farm, render) == 0


def test_loses_no_attempt_to_an_s3_that_does_not_respond(farm: Farm, door: s3.Door) -> None:
    render = order_render(farm)
    with worker_paused(farm):
        door.silent = True
    until(lambda: has_released_a_chunk(farm, render))
    door.silent = False
    farm.wait_until_done(render)
    assert failed_attempts(farm, render) == 0


def has_released_a_chunk(farm: Farm, render: str) -> bool:
    """Whether an attempt at a chunk of the render gave up, and the chunk waits for the next one."""
    with contextlib.closing(Database(farm.settings.database)) as database, database.read() as db:
        chunks = db.get_one(Render, render).shot.chunks
        return any(chunk.state == "queued" and chunk.attempt > 1 for chunk in chunks)

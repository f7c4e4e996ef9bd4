"""A farm whose storage is out of order while it draws."""

import time
from collections.abc import Iterator

import pytest

from tests.support import s3
from tests.support.consistency import assert_consistent, assert_no_processes
from tests.support.farms import FRAGILE, Farm, farm_on_s3
from tests.support.interruptions import failed_attempts, order_render, worker_paused

OUTAGE = 30.0  # seconds of 503; one attempt after the other fails meanwhile
SILENCE = 15.0  # seconds, in which an attempt gives up
TIMEOUT = 1.0  # seconds of silence after which a request is tried again
LEASE = 10.0  # seconds, as no attempt may be lost here because the machine is busy
ENDLESS = 10**9


@pytest.fixture(scope="module")
def door(s3_server: str) -> Iterator[s3.Door]:
    with s3.door(s3_server) as door:
        yield door


@pytest.fixture(scope="module")
def one_farm_on_s3(tmp_path_factory: pytest.TempPathFactory, door: s3.Door) -> Iterator[Farm]:
    options = FRAGILE | {"FARM_S3_TIMEOUT": str(TIMEOUT), "FARM_LEASE_SECONDS": str(LEASE)}
    with farm_on_s3(tmp_path_factory.mktemp("s3"), door, **options) as running:
        yield running
    assert_no_processes(running)


@pytest.fixture
def farm(one_farm_on_s3: Farm) -> Iterator[Farm]:
    """A farm that keeps its files behind the door; after each test it must be sound again."""
    yield one_farm_on_s3
    assert_consistent(one_farm_on_s3, workers=1)


def test_that_answers_503_for_long_costs_no_attempt(farm: Farm, door: s3.Door) -> None:
    render = order_render(farm)
    with worker_paused(farm):
        door.busy = ENDLESS
    time.sleep(OUTAGE)
    asked, door.busy = ENDLESS - door.busy, 0
    assert asked > 0, "nobody has missed it"
    assert farm.wait(render)["status"] == "done"
    assert failed_attempts(farm, render) == 0


def test_that_is_silent_for_long_costs_no_attempt(farm: Farm, door: s3.Door) -> None:
    render = order_render(farm)
    with worker_paused(farm):
        door.silent = True
        before = len(door.asked)
    time.sleep(SILENCE)
    door.silent = False
    assert len(door.asked) > before, "nobody has missed it"
    assert farm.wait(render)["status"] == "done"
    assert failed_attempts(farm, render) == 0

"""What happens when somebody dies, or stands still, while he makes a video of its segments."""

import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from farm.settings import Settings
from farm.video.run import executable
from tests.e2e.conftest import Farm, command, farm_up, until
from tests.faults.conftest import FRAGILE
from tests.faults.soundness import assert_nothing_runs, assert_sound
from tests.faults.test_frozen import contents
from tests.faults.victims import Busy, caught, failures, order

pytestmark = pytest.mark.slow

SLOW = """#!{python}
import os, sys, time
if "concat" in sys.argv:
    time.sleep(2)  # so that somebody can be caught
os.execv("{ffmpeg}", ["{ffmpeg}", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def slow_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("finishing")
    ffmpeg = folder / "ffmpeg"
    ffmpeg.write_text(SLOW.format(python=sys.executable, ffmpeg=executable(Settings().ffmpeg)))
    ffmpeg.chmod(0o755)
    with farm_up(folder, workers=2, FARM_FFMPEG=str(ffmpeg), **FRAGILE) as running:
        yield running
    assert_nothing_runs(running)


@pytest.fixture
def farm(slow_farm: Farm) -> Iterator[Farm]:
    yield slow_farm
    assert_sound(slow_farm, workers=2)


def joins(ffmpeg: psutil.Process, _: psutil.Process) -> bool:
    return "concat" in command(ffmpeg)


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(lambda busy: [busy.worker], id="worker"),
        pytest.param(lambda busy: [busy.horse], id="work-horse"),
        pytest.param(lambda busy: busy.ffmpegs, id="ffmpeg"),
    ],
)
def test_killed_costs_one_attempt_and_no_render(farm: Farm, victims: Callable[[Busy], list[psutil.Process]]) -> None:
    render = order(farm)
    with caught(farm, joins) as busy:
        for victim in victims(busy):
            victim.kill()
    assert farm.wait(render)["status"] == "done"
    assert failures(farm, render) == 1


def test_frozen_past_the_lease_is_fenced_off(farm: Farm) -> None:
    """Another worker finishes the render; the one that wakes changes nothing of it."""
    render = order(farm)
    with caught(farm, joins) as late:
        assert farm.wait(render)["status"] == "done"
        before = contents(farm, render)
    until(lambda: late.horse in late.worker.children(), lambda there: not there)
    assert contents(farm, render) == before
    assert failures(farm, render) == 1

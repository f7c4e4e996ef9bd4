"""Processes that are killed or frozen while a video is joined from its segments."""

import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from farm.settings import Settings
from farm.video.run import executable
from tests.support.consistency import assert_consistent, assert_no_processes
from tests.support.farms import FRAGILE, Farm, farm_up
from tests.support.interruptions import PausedWorker, failed_attempts, order_render, worker_paused
from tests.support.polling import until
from tests.support.processes import command_line

SLOW = """#!{python}
import os, sys, time
if "concat" in sys.argv:
    time.sleep(2)  # long enough to be paused
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
    assert_no_processes(running)


@pytest.fixture
def farm(slow_farm: Farm) -> Iterator[Farm]:
    yield slow_farm
    assert_consistent(slow_farm, workers=2)


def joins_segments(ffmpeg: psutil.Process, _: psutil.Process) -> bool:
    return "concat" in command_line(ffmpeg)


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(lambda paused: [paused.worker], id="worker"),
        pytest.param(lambda paused: [paused.horse], id="work-horse"),
        pytest.param(lambda paused: paused.ffmpegs, id="ffmpeg"),
    ],
)
def test_costs_one_attempt_when_a_process_is_killed(
    farm: Farm, victims: Callable[[PausedWorker], list[psutil.Process]]
) -> None:
    render = order_render(farm)
    with worker_paused(farm, joins_segments) as paused:
        for victim in victims(paused):
            victim.kill()
    farm.wait_until_done(render)
    assert failed_attempts(farm, render) == 1


def test_fences_off_a_worker_frozen_past_its_lease(farm: Farm) -> None:
    """Another worker finishes the render; the late one changes nothing of it."""
    render = order_render(farm)
    with worker_paused(farm, joins_segments) as late:
        farm.wait_until_done(render)
        before = farm.files_of(render)
    until(lambda: late.horse in late.worker.children(), lambda there: not there)
    assert farm.files_of(render) == before
    assert failed_attempts(farm, render) == 1

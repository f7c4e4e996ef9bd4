"""What happens when parts of the farm die in the middle of the work."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Farm, command, farm_up, until

pytestmark = pytest.mark.slow

# Long enough to be caught in the middle of it.
LONG = '{"length": 30, "shadows": false}'


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm whose parts may be killed; leases are short so that it notices soon, and frames are not kept."""
    folder = tmp_path_factory.mktemp("fragile")
    hurried: dict[str, Any] = {"FARM_LEASE_SECONDS": "3", "FARM_FRAME_CACHE_BYTES": "0", "FARM_LOG_LEVEL": "error"}
    with farm_up(folder, FARM_ENGINE="cycles", **hurried) as running:
        yield running


def start_drawing(farm: Farm) -> str:
    """Upload a model; returns the id of its render once frames are being drawn."""
    render = str(farm.upload("walker.glb", LONG)["renderId"])
    drawing(farm, render)
    return render


def drawing(farm: Farm, render: str) -> None:
    until(lambda: farm.render(render), lambda seen: seen["status"] == "error" or seen["progress"]["frames"] > 1)


def assert_whole(farm: Farm, render: str) -> None:
    finished = farm.wait(render)
    assert finished["status"] == "done", finished["errorMessage"]
    assert farm.client.get(f"/v1/renders/{render}/video").status_code == 200
    assert finished["progress"] == {"frames": 120, "of": 120}


class TestKilled:
    def test_a_worker_killed_mid_render_costs_no_render(self, fragile: Farm) -> None:
        render = start_drawing(fragile)
        [worker] = fragile.workers()
        worker.kill()
        assert_whole(fragile, render)
        [another] = fragile.workers()
        assert another.pid != worker.pid
        leftovers = [folder for folder in fragile.scratch.iterdir() if f"-{worker.pid}-" in folder.name]
        assert not leftovers, "frames of the killed worker stay in memory"

    def test_a_work_horse_killed_mid_render_costs_no_render(self, fragile: Farm) -> None:
        render = start_drawing(fragile)
        [worker] = fragile.workers()
        [horse] = [child for child in worker.children() if "farm.blender.host" not in command(child)]
        horse.kill()
        assert_whole(fragile, render)

    def test_a_blender_that_dies_mid_frame_is_replaced(self, fragile: Farm) -> None:
        render = start_drawing(fragile)
        [host] = fragile.blender_hosts()
        host.kill()
        assert_whole(fragile, render)
        [fresh] = fragile.blender_hosts()
        assert fresh.pid != host.pid

    def test_the_third_death_of_blender_ends_the_render_with_a_message(self, fragile: Farm) -> None:
        render = start_drawing(fragile)
        for _ in range(3):
            drawing(fragile, render)
            for host in fragile.blender_hosts():
                host.kill()
            until(lambda: fragile.render(render), lambda seen: seen["progress"]["frames"] == 0 or seen["errorMessage"])
        failed = fragile.wait(render)
        assert failed["status"] == "error"
        assert "Blender stopped unexpectedly" in failed["errorMessage"]
        assert "3 attempts" in failed["errorMessage"]

    def test_redis_killed_and_empty_loses_no_render(self, fragile: Farm) -> None:
        [worker] = fragile.workers()
        worker.suspend()
        render = str(fragile.upload("draco.glb", '{"length": 3}')["renderId"])
        fragile.redis().kill()
        worker.resume()
        assert fragile.wait(render)["status"] == "done"


class TestStop:
    def test_ctrl_c_mid_render_leaves_nothing_behind_and_the_next_start_finishes_it(self, tmp_path: Path) -> None:
        with farm_up(tmp_path, FARM_ENGINE="cycles") as farm:
            render = start_drawing(farm)
            family = farm.family()
            began = time.monotonic()
            farm.process.send_signal(signal.SIGINT)
            assert farm.process.wait(30) == 0
            assert time.monotonic() - began < 15
            assert not [process for process in family if process.is_running()]
            assert not list(farm.scratch.iterdir())
            key = farm.client.headers["Authorization"].removeprefix("Bearer ")
        with farm_up(tmp_path, key=key, FARM_ENGINE="cycles") as farm:
            assert_whole(farm, render)

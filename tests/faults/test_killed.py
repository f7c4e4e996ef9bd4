"""What happens when parts of the farm die in the middle of the work."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.consistency import assert_consistent, assert_no_processes, processes
from tests.support.farms import FRAGILE, Farm, farm_up
from tests.support.interruptions import PausedWorker, failed_attempts, order_render, pause_worker, worker_paused
from tests.support.polling import until


class TestKilled:
    @pytest.mark.parametrize(
        "victims",
        [
            pytest.param(lambda busy: [busy.worker], id="worker"),
            pytest.param(lambda busy: [busy.horse], id="work-horse"),
            pytest.param(lambda busy: [busy.host], id="Blender"),
            pytest.param(lambda busy: busy.ffmpegs, id="ffmpeg"),
        ],
    )
    def test_mid_chunk_costs_one_attempt_and_no_render(
        self, fragile: Farm, victims: Callable[[PausedWorker], list[psutil.Process]]
    ) -> None:
        render = order_render(fragile)
        with worker_paused(fragile) as busy:
            for victim in victims(busy):
                victim.kill()
        assert fragile.wait(render)["status"] == "done"
        assert failed_attempts(fragile, render) == 1

    def test_three_times_ends_the_render_with_a_message_and_gives_its_credits_back(self, fragile: Farm) -> None:
        before = fragile.balance()
        render = order_render(fragile)
        while fragile.render(render)["status"] != "error":
            if busy := pause_worker(fragile):
                busy.host.kill()
                busy.horse.resume()
        message = fragile.render(render)["errorMessage"]
        assert "Blender stopped unexpectedly" in message
        assert "3 attempts" in message
        assert fragile.balance() == before


class TestRedis:
    def test_killed_and_empty_while_somebody_draws_loses_no_render(self, fragile: Farm) -> None:
        render = order_render(fragile)
        with worker_paused(fragile):
            fragile.redis().kill()
        assert fragile.wait(render)["status"] == "done"

    def test_killed_and_empty_with_a_ring_that_nobody_has_heard_loses_no_render(self, fragile: Farm) -> None:
        fragile.wait(order_render(fragile, "draco.glb", length=3))  # its model is there from now on
        workers = fragile.workers()
        for worker in workers:
            worker.suspend()
        render = order_render(fragile, "draco.glb", length=3)
        fragile.redis().kill()
        for worker in workers:
            worker.resume()
        assert fragile.wait(render)["status"] == "done"


class TestWholeFarm:
    def test_ctrl_c_mid_render_leaves_nothing_behind_and_the_next_start_finishes_it(self, tmp_path: Path) -> None:
        with farm_up(tmp_path, **FRAGILE) as farm:
            render, key = order_render(farm), farm.key
            with worker_paused(farm):
                began = time.monotonic()
                farm.process.send_signal(signal.SIGINT)
            assert farm.process.wait(30) == 0
            assert time.monotonic() - began < 15
            assert_no_processes(farm)
        with farm_up(tmp_path, key=key, **FRAGILE) as farm:
            assert farm.wait(render)["status"] == "done"
            assert_consistent(farm, workers=1)
        assert_no_processes(farm)

    def test_a_power_cut_leaves_no_process_behind_and_the_next_start_finishes_the_render(self, tmp_path: Path) -> None:
        with farm_up(tmp_path, **FRAGILE) as farm:
            render, key = order_render(farm), farm.key
            with worker_paused(farm):
                farm.process.kill()
            until(lambda: processes(farm), lambda left: not left)
        with farm_up(tmp_path, key=key, **FRAGILE) as farm:
            assert farm.wait(render)["status"] == "done"
            assert_consistent(farm, workers=1)
        assert_no_processes(farm)

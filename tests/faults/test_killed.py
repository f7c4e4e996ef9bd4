"""Processes of a farm that are killed in the middle of a chunk."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.consistency import assert_consistent, assert_no_processes, processes
from tests.support.farms import FRAGILE, Farm, farm_up
from tests.support.interruptions import (
    PausedWorker,
    failed_attempts,
    order_render,
    pause_worker,
    worker_paused,
    workers_stopped,
)
from tests.support.polling import until


class TestKilledProcess:
    @pytest.mark.parametrize(
        "victims",
        [
            pytest.param(lambda paused: [paused.worker], id="worker"),
            pytest.param(lambda paused: [paused.horse], id="work-horse"),
            pytest.param(lambda paused: [paused.host], id="Blender"),
            pytest.param(lambda paused: paused.ffmpegs, id="ffmpeg"),
        ],
    )
    def test_costs_one_attempt_and_no_render(
        self, fragile: Farm, victims: Callable[[PausedWorker], list[psutil.Process]]
    ) -> None:
        render = order_render(fragile)
        with worker_paused(fragile) as paused:
            for victim in victims(paused):
                victim.kill()
        fragile.wait_until_done(render)
        assert failed_attempts(fragile, render) == 1

    def test_fails_and_refunds_the_render_after_three_attempts(self, fragile: Farm) -> None:
        render = order_render(fragile)
        charged = fragile.balance()
        while (ended := fragile.render(render))["status"] not in ("done", "error"):
            if paused := pause_worker(fragile):
                paused.horse.kill()
        assert ended["status"] == "error"
        message = ended["errorMessage"]
        assert "The worker stopped" in message
        assert "3 attempts" in message
        assert fragile.balance() == charged + 1


class TestKilledRedis:
    def test_loses_no_render_under_way(self, fragile: Farm) -> None:
        render = order_render(fragile)
        with worker_paused(fragile):
            fragile.redis().kill()
        fragile.wait_until_done(render)

    def test_loses_no_render_whose_wake_up_it_forgot(self, fragile: Farm) -> None:
        fragile.wait(order_render(fragile, "draco.glb", length=3))  # uploads the model
        with workers_stopped(fragile):
            render = order_render(fragile, "draco.glb", length=3)
            fragile.redis().kill()
        fragile.wait_until_done(render)


class TestWholeFarm:
    def test_stops_cleanly_on_ctrl_c_and_resumes_the_render(self, tmp_path: Path) -> None:
        with farm_up(tmp_path, **FRAGILE) as farm:
            render, key = order_render(farm), farm.key
            with worker_paused(farm):
                began = time.monotonic()
                farm.process.send_signal(signal.SIGINT)
            assert farm.process.wait(30) == 0
            assert time.monotonic() - began < 15
            assert_no_processes(farm)
        with farm_up(tmp_path, key=key, **FRAGILE) as farm:
            farm.wait_until_done(render)
            assert_consistent(farm, workers=1)
        assert_no_processes(farm)

    def test_leaves_no_process_when_killed_and_resumes_the_render(self, tmp_path: Path) -> None:
        with farm_up(tmp_path, **FRAGILE) as farm:
            render, key = order_render(farm), farm.key
            with worker_paused(farm):
                farm.process.kill()
            until(lambda: processes(farm), lambda left: not left)
        with farm_up(tmp_path, key=key, **FRAGILE) as farm:
            farm.wait_until_done(render)
            assert_consistent(farm, workers=1)
        assert_no_processes(farm)

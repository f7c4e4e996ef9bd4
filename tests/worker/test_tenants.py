"""FARM_ISOLATE_TENANTS: a Blender host opens the models of one account only."""

import subprocess
from functools import partial
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from farm.settings import Settings
from farm.worker.context import WorkerContext
from tests.support.clients import Client
from tests.support.polling import until
from tests.support.workers import SMALL, StartWorker, blenders_of, upload

pytestmark = pytest.mark.frames(SMALL)


@pytest.fixture
def context(settings: Settings, tmp_path: Path) -> WorkerContext:
    isolating = settings.model_copy(update={"isolate_tenants": True})
    return WorkerContext("w", isolating, "cycles", tmp_path / "sock", tmp_path)


class TestContext:
    def test_admits_one_account_until_the_host_is_replaced(self, context: WorkerContext) -> None:
        assert context.host_admits("ada")
        assert context.host_admits("ada")
        assert not context.is_host_stale()
        assert not context.host_admits("eve")
        assert context.is_host_stale()
        context.forget_tenant()
        assert not context.is_host_stale()
        assert context.host_admits("eve")
        assert not context.host_admits("ada")

    def test_admits_everybody_without_the_setting(self, context: WorkerContext, settings: Settings) -> None:
        shared = WorkerContext("w", settings, "cycles", context.blender_socket, context.scratch)
        assert shared.host_admits("ada")
        assert shared.host_admits("eve")
        assert not shared.is_host_stale()


@pytest.mark.slow
class TestWorker:
    @pytest.mark.parametrize("isolates", [False, True])
    def test_draws_for_the_next_account_with_a_fresh_host(
        self, public_api: TestClient, client: Client, stranger: Client, start_worker: StartWorker,
        isolates: bool,
    ) -> None:  # fmt: skip
        worker = start_worker(FARM_ISOLATE_TENANTS=str(isolates))
        hosts = []
        for owner in (client, client, stranger):
            public_api.headers.update(owner.headers)
            render_id = upload(public_api, "draco.glb")
            until(partial(is_done, public_api, render_id))
            hosts.append(only_host(worker).pid)
        assert hosts[0] == hosts[1], "of the same account"
        assert (hosts[1] != hosts[2]) is isolates


def is_done(api: TestClient, render_id: str) -> bool:
    render = api.get(f"/v1/renders/{render_id}").json()["data"]
    assert render["status"] != "error", render["errorMessage"]
    return bool(render["status"] == "done")


def only_host(worker: "subprocess.Popen[str]") -> psutil.Process:
    [host] = until(lambda: blenders_of(worker))
    return host

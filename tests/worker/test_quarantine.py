"""A node that fails every model is quarantined; a model that kills every Blender is refused."""

import json
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from farm.db import clock, nodes
from farm.db.session import Database
from farm.db.tables import Model, Render, SuspectModel, now
from farm.errors import HarmfulModel
from farm.nodes.quarantine import MAX_QUICK_FAILURES
from farm.processes import exit_codes
from farm.settings import Settings
from farm.video.run import executable
from tests.support.api import assert_error, credits_of
from tests.support.assets import ASSETS
from tests.support.clients import INITIAL_CREDITS, Client
from tests.support.polling import until
from tests.support.workers import ENDLESS, SMALL, StartWorker, blenders_of, node, state, upload

pytestmark = [pytest.mark.slow, pytest.mark.frames(SMALL)]


class TestQuarantine:
    def test_leaves_the_work_of_a_node_that_fails_every_model(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        models = ["walker.glb", "draco.glb", "product.glb", "embedded.gltf"]
        for model in models:
            upload(api, model, length=3, shadows=False)
        worker = start_worker("--name", "one", FARM_FFMPEG="/bin/false", FARM_ATTEMPTS="1")
        until(lambda: state(database, "one") == "quarantined")
        reason = node(database, "one").quarantine_reason
        assert reason
        assert "does not draw its test model: The video could not be encoded" in reason
        assert f"failed here in a row before: {MAX_QUICK_FAILURES} (accounts: 1)" in reason
        time.sleep(3)
        with database.read() as db:
            statuses = [render.status for render in db.query(Render)]
        assert sorted(statuses) == ["error"] * MAX_QUICK_FAILURES + ["pending"] * (len(models) - MAX_QUICK_FAILURES)
        assert worker.poll() is None
        assert node(database, "one").seen_at > now() - timedelta(seconds=10)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        with database.read() as db:
            assert nodes.named(db, "one").quarantine_reason == reason

    def test_is_lifted_by_a_check_once_the_node_is_repaired(
        self, start_worker: StartWorker, settings: Settings, database: Database, api: TestClient, tmp_path: Path
    ) -> None:
        models = ["walker.glb", "draco.glb", "product.glb", "embedded.gltf"]
        for model in models:
            upload(api, model, length=3, shadows=False)
        ffmpeg = tmp_path / "ffmpeg"
        ffmpeg.symlink_to("/bin/false")
        start_worker("--name", "one", FARM_FFMPEG=str(ffmpeg), FARM_ATTEMPTS="1")
        until(lambda: state(database, "one") == "quarantined")
        ffmpeg.unlink()
        ffmpeg.symlink_to(executable(settings.ffmpeg))
        with database.write() as db:
            nodes.named(db, "one").check_due_at = clock.now(db)
        until(lambda: state(database, "one") in ("idle", "working"))
        until(lambda: "done" in {render.status for render in renders(database)})

    def test_is_decided_by_a_fresh_blender(self, start_worker: StartWorker, database: Database) -> None:
        """The one before may have been changed by a model."""
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        [before] = until(lambda: blenders_of(worker))
        with database.write() as db:
            nodes.named(db, "one").check_due_at = clock.now(db)
        until(lambda: state(database, "one") == "idle")
        [after] = until(lambda: blenders_of(worker))
        assert after != before


@pytest.mark.frames(ENDLESS)
class TestBadModels:
    def test_quarantine_no_node_and_are_refused_for_good(
        self, start_worker: StartWorker, database: Database, api: TestClient, stranger: Client
    ) -> None:
        """Each Blender that draws one of them dies, as if it had crashed."""
        models = ["walker.glb", "draco.glb", "product.glb"]
        for model in models:
            upload(api, model, length=3, shadows=False)
        worker = start_worker("--name", "one", FARM_ATTEMPTS="4")

        def kill_blender_at_work() -> bool:
            if state(database, "one") == "working":
                for host in blenders_of(worker):
                    host.kill()
            return all(render.status == "error" for render in renders(database))

        until(kill_blender_at_work)
        assert state(database, "one") == "idle"
        assert node(database, "one").check_due_at is None
        for render in renders(database):
            assert render.error_message == HarmfulModel.default
        with (ASSETS / models[0]).open("rb") as file:
            refused = api.post("/v1/models", files={"file": (models[0], file)}, headers=stranger.headers)
        assert_error(refused, "invalid_format", 400, "crashed or hung the renderer twice")
        assert credits_of(api) == INITIAL_CREDITS


class TestLog:
    def test_has_one_line_of_fields_for_a_bad_model(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        upload(api, "product.glb", length=3)
        with database.write() as db:
            sha256 = db.scalars(select(Model.sha256)).one()
            db.add(SuspectModel(sha256=sha256, hosts=2, reason="crash", failed_at=clock.now(db), is_refused=True))
        worker = start_worker("--name", "one")
        until(lambda: [render.status for render in renders(database)] == ["error"])
        worker.send_signal(signal.SIGTERM)
        _, output = worker.communicate()
        lines = [json.loads(line) for line in output.splitlines()]
        [failed] = [line for line in lines if line["event"] == "attempt_failed"]
        assert (failed["kind"], failed["error"]) == ("BadModel", HarmfulModel.default)
        assert failed["chunk"]
        assert "Traceback" not in output
        assert not [line for line in lines if line["level"] == "error"]


def renders(database: Database) -> list[Render]:
    with database.read() as db:
        return db.query(Render).all()

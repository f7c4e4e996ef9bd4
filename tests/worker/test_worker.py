"""`farm worker` as an operator sees it: how it joins, draws, drains, and with which exit code it ends."""

import json
import signal
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import select, text

from farm.blender.host_process import BlenderHost
from farm.db import clock, nodes
from farm.db.session import Database
from farm.db.tables import Chunk, Model, Render, SuspectModel, now
from farm.errors import HarmfulModel
from farm.nodes import facts, registry
from farm.nodes.quarantine import MAX_QUICK_FAILURES
from farm.processes import exit_codes
from farm.rendering.engine import Choice, Devices
from farm.settings import Settings
from farm.video.run import executable
from farm.worker.context import WorkerContext, enter
from farm.worker.resilient_worker import HEARTBEAT_SECONDS
from farm.worker.worker import ChunkWorker
from tests.support.api import assert_error, credits_of
from tests.support.assets import ASSETS
from tests.support.clients import INITIAL_CREDITS, Client
from tests.support.nodes import CARD
from tests.support.polling import until
from tests.support.workers import ENDLESS, SMALL, StartWorker, blenders_of, node, state, upload

pytestmark = pytest.mark.slow


@pytest.fixture
def sizes() -> dict[str, float]:
    """The settings that determine the size and quality of frames."""
    return SMALL


@pytest.fixture
def settings(settings: Settings, sizes: dict[str, float]) -> Settings:
    """A farm that draws frames of `sizes`."""
    return settings.model_copy(update=sizes)


class TestLifecycle:
    def test_joins_sends_heartbeats_and_leaves(self, start_worker: StartWorker, database: Database) -> None:
        worker = start_worker("--name", "one", "--tags", "studio, big")
        until(lambda: state(database, "one") == "idle")
        joined = node(database, "one")
        assert (joined.engine, joined.gpu, joined.draws, joined.tags) == ("cycles", None, True, ["studio", "big"])
        assert (joined.bpy_version, joined.database_version) == ("4.5.15", database.newest_version())
        until(lambda: node(database, "one").seen_at - joined.seen_at > timedelta(seconds=8))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        assert state(database, "one") is None

    def test_replaces_a_killed_node_of_the_same_name_at_once(
        self, start_worker: StartWorker, database: Database
    ) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        worker.kill()
        worker.wait()
        began = node(database, "one").started_at
        start_worker("--name", "one")
        until(lambda: node(database, "one").started_at > began, timeout_seconds=15)

    def test_refuses_to_join_with_an_engine_that_has_no_gpu(
        self, start_worker: StartWorker, database: Database
    ) -> None:
        """Cycles itself would draw on the CPU instead, many times as long."""
        worker = start_worker("--name", "one", FARM_ENGINE="cycles-cuda", CUDA_VISIBLE_DEVICES="")
        assert worker.wait(60) == exit_codes.REFUSED
        assert worker.stderr
        assert "FARM_ENGINE is cycles-cuda, and Cycles finds no GPU for it here" in worker.stderr.read()
        assert state(database, "one") is None

    def test_ends_on_sigterm_during_a_heartbeat(self, start_worker: StartWorker, database: Database) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        with database.write() as db:
            db.execute(text("SELECT 1"))  # from here on the next heartbeat waits for this transaction
            time.sleep(HEARTBEAT_SECONDS + 1)
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED

    def test_claims_no_chunk_after_sigterm(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        for _ in range(2):
            upload(api, "walker.glb", length=3, shadows=False)
        worker = start_worker("--name", "one")
        until(lambda: is_working(database))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == exit_codes.STOPPED
        with database.read() as db:
            assert sorted(chunk.state for chunk in db.query(Chunk)) == ["done", "queued", "queued"]

    def test_ends_when_another_machine_has_taken_its_name(self, start_worker: StartWorker, database: Database) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        with database.write() as db:
            nodes.named(db, "one").machine = "elsewhere"
        assert worker.wait(20) == exit_codes.REFUSED
        assert worker.stderr
        assert "Another worker has joined as one" in worker.stderr.read().splitlines()[-1]
        assert node(database, "one").machine == "elsewhere"

    def test_refuses_a_second_node_of_the_same_name(self, start_worker: StartWorker, database: Database) -> None:
        start_worker("--name", "one")
        until(lambda: state(database, "one"))
        second = start_worker("--name", "one")
        assert second.wait(20) == exit_codes.REFUSED
        assert second.stderr
        assert "already" in second.stderr.read()


class TestFailedStart:
    def test_ends_with_one_line_when_redis_is_down(
        self, start_worker: StartWorker, database: Database, tmp_path: Path
    ) -> None:
        worker = start_worker("--name", "one", FARM_REDIS_URL=f"unix://{tmp_path}/none", FARM_LOG_LEVEL="error")
        assert worker.wait(30) == 1
        assert worker.stderr
        assert worker.stderr.read().splitlines()[-1].startswith("Redis does not ")
        assert state(database, "one") == "gone", "the loss is visible"

    def test_leaves_nothing_when_stopped_while_it_starts(
        self, start_worker: StartWorker, database: Database, tmp_path: Path
    ) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one"))  # it has joined, and starts Blender
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        assert state(database, "one") is None
        assert list((tmp_path / "tmp").iterdir()) == []


class TestDatabaseVersion:
    def test_refuses_a_newer_database(self, start_worker: StartWorker, database: Database) -> None:
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        worker = start_worker()
        assert worker.wait(20) == exit_codes.REFUSED
        assert worker.stderr
        [line] = worker.stderr.read().splitlines()
        assert "update Plinth on this machine" in line

    def test_ends_after_its_chunk_when_the_database_is_upgraded(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        for effect in ("turntable", "hero-spin", "showcase", "zoom-orbit", "reveal"):  # none has another's frames
            upload(api, "walker.glb", effect=effect, length=30, shadows=False)
        worker = start_worker("--name", "one")
        until(lambda: is_working(database))
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        assert worker.wait(60) == exit_codes.REFUSED
        assert worker.stderr
        assert "newer than 0001 of this Plinth" in worker.stderr.read().splitlines()[-1]
        assert state(database, "one") is None
        with database.read() as db:
            found = {(chunk.state, chunk.attempt, chunk.failures) for chunk in db.query(Chunk)}
        assert found == {("done", 1, 0), ("queued", 1, 0)}, "no chunk was interrupted"

    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_detects_changed_tables_of_the_same_version(
        self, settings: Settings, database: Database, redis: Redis, tmp_path: Path
    ) -> None:
        own_facts = facts.gather("one", [], Choice("cycles"), Devices(), database, settings)
        registry.join(database, own_facts)
        worker = ChunkWorker(settings, redis, BlenderHost(tmp_path), own_facts)
        enter(WorkerContext("one", settings, "cycles", tmp_path, tmp_path))
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE nodes DROP COLUMN draws"))
        worker.heartbeat()
        assert worker.is_outdated

    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_ends_with_an_error_if_no_version_explains_the_change(
        self, start_worker: StartWorker, settings: Settings, database: Database
    ) -> None:
        worker = start_worker("--name", "one", FARM_DATABASE_URL=settings.database)
        until(lambda: state(database, "one") == "idle")
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE nodes RENAME COLUMN draws TO drew"))
        assert worker.wait(30) == 1, "the supervisor restarts it, as the version did not change"
        assert worker.stderr
        assert "ended unexpectedly" in worker.stderr.read().splitlines()[-1]


class TestStorage:
    def test_refuses_a_storage_that_is_not_the_farms(
        self, start_worker: StartWorker, settings: Settings, api: TestClient, tmp_path: Path
    ) -> None:
        upload(api, "draco.glb", length=3)
        worker = start_worker(FARM_DATA=str(tmp_path / "elsewhere"), FARM_DATABASE_URL=settings.database)
        assert worker.wait(20) == exit_codes.REFUSED
        assert worker.stderr
        [line] = worker.stderr.read().splitlines()
        assert "does not see the farm's files" in line

    def test_joins_although_the_storage_has_lost_a_file(
        self, start_worker: StartWorker, settings: Settings, database: Database, api: TestClient
    ) -> None:
        for name in ("draco.glb", "walker.glb"):
            upload(api, name, length=3)
        (lost, *_) = (settings.files / "models").rglob("*.glb")
        lost.unlink()
        start_worker("--name", "one")
        until(lambda: state(database, "one"))


class TestRouting:
    def test_draws_only_previews_on_a_cpu_while_a_gpu_node_lives(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        gpu = facts.gather("gpu", [], Choice("eevee"), CARD, database, Settings())
        registry.join(database, gpu)
        with database.write() as db:
            nodes.named(db, "gpu").seen_at = now() + timedelta(hours=1)
        start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        render = upload(api, "draco.glb", keep_preview=True, length=3, shadows=False)
        until(lambda: statuses(database)[True] == "done")
        assert not node(database, "one").draws
        time.sleep(2)
        assert statuses(database)[False] == "pending"
        with database.write() as db:
            registry.leave(db, gpu)
        until(lambda: statuses(database)[False] == "done")
        with database.read() as db:
            assert db.get_one(Render, render).shot.engine == "cycles"


def statuses(database: Database) -> dict[bool, str]:
    """The statuses of the only preview (True) and the only render (False)."""
    with database.read() as db:
        return {render.is_system_preview: render.status for render in db.query(Render)}


class TestDrain:
    def test_ends_after_its_chunk_and_does_not_start_until_resumed(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        first = upload(api, "walker.glb", length=6, shadows=False)
        second = upload(api, "walker.glb", length=3, shadows=False)
        worker = start_worker("--name", "one")
        until(lambda: is_working(database))
        with database.write() as db:
            registry.drain(db, "one")
        assert state(database, "one") == "draining"
        assert worker.wait(60) == exit_codes.STOPPED
        assert state(database, "one") == "drained"
        with database.read() as db:
            [done] = [chunk for chunk in db.query(Chunk) if chunk.state == "done"]
            assert done.frames_done == done.frames
            assert done.shot_id == db.get_one(Render, first).shot_id
            assert db.get_one(Render, second).status == "pending"
            last = nodes.named(db, "one")
            assert (last.last_chunk_id, last.last_frame) == (done.id, done.first_frame + done.frames - 1)
        assert start_worker("--name", "one").wait(20) == exit_codes.STOPPED
        assert state(database, "one") == "drained"
        with database.write() as db:
            registry.resume(db, "one")
        start_worker("--name", "one")
        until(lambda: state(database, "one") in ("idle", "working"))


class TestDeletedRender:
    @pytest.fixture
    def sizes(self) -> dict[str, float]:
        return ENDLESS

    def test_stops_drawing_a_deleted_render_within_5_seconds(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        worker = start_worker("--name", "one")
        [host] = until(lambda: blenders_of(worker))
        render = upload(api, "product.glb", length=3, shadows=False)
        until(lambda: is_working(database))
        last = node(database, "one").seen_at
        until(lambda: host.cpu_percent(0.5) > 50)
        until(lambda: node(database, "one").seen_at > last, timeout_seconds=15)  # it sends heartbeats while it draws
        assert api.delete(f"/v1/renders/{render}").status_code == 200
        deleted = time.monotonic()
        until(lambda: host not in blenders_of(worker), timeout_seconds=20)
        assert time.monotonic() - deleted < 5
        with database.read() as db:
            assert nodes.named(db, "one").last_frame is None, "no frame was finished"
        until(lambda: blenders_of(worker))
        assert state(database, "one") == "idle"


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


class TestBadModels:
    @pytest.fixture
    def sizes(self) -> dict[str, float]:
        return ENDLESS

    def test_quarantine_no_node_and_are_refused_for_good(
        self, start_worker: StartWorker, database: Database, api: TestClient, stranger: Client
    ) -> None:
        """Each Blender that draws one of them dies, as if it had crashed."""
        models = ["walker.glb", "draco.glb", "product.glb"]
        for model in models:
            upload(api, model, length=3, shadows=False)
        worker = start_worker("--name", "one", FARM_ATTEMPTS="4")

        def kill_blender_at_work() -> bool:
            if is_working(database):
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


class TestHosts:
    def test_registers_each_host_and_ends_them_together(self, start_worker: StartWorker, database: Database) -> None:
        command = start_worker("--name", "box", "--hosts", "2")
        until(lambda: state(database, "box-1") == state(database, "box-2") == "idle")
        family = psutil.Process(command.pid).children(recursive=True)
        with database.write() as db:
            registry.drain(db, "box-1")
        until(lambda: state(database, "box-1") == "drained")
        assert command.poll() is None
        command.send_signal(signal.SIGTERM)
        assert command.wait(20) == exit_codes.STOPPED
        assert not [process for process in family if process.is_running()]
        assert state(database, "box-2") is None

    def test_ends_once_all_hosts_are_drained(self, start_worker: StartWorker, database: Database) -> None:
        command = start_worker("--name", "box", "--hosts", "2")
        until(lambda: state(database, "box-1") == state(database, "box-2") == "idle")
        with database.write() as db:
            registry.drain(db, "box-1")
            registry.drain(db, "box-2")
        assert command.wait(20) == exit_codes.STOPPED


def is_working(database: Database) -> bool:
    return state(database, "one") == "working"

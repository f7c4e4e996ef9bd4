"""A worker as an operator knows it: it joins, lives, draws, drains, and ends with the code that the docs name."""

import signal
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import text

from farm.blender.client import BlenderHost
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Chunk, Render, now
from farm.nodes import facts, registry
from farm.nodes.quarantine import MAX_FAILED_MODELS
from farm.processes import exit_codes
from farm.rendering.engine import Gpu
from farm.settings import Settings
from farm.worker.context import WorkerContext, enter
from farm.worker.worker import HEARTBEAT_SECONDS, ChunkWorker
from tests.support.polling import until
from tests.support.workers import ENDLESS, SMALL, StartWorker, blenders_of, node, state, upload

pytestmark = pytest.mark.slow


@pytest.fixture
def sizes() -> dict[str, float]:
    """What the test's frames are like."""
    return SMALL


@pytest.fixture
def settings(settings: Settings, sizes: dict[str, float]) -> Settings:
    """A farm that draws small and coarse, unless the test wants otherwise."""
    return settings.model_copy(update=sizes)


class TestLife:
    def test_of_a_node_from_its_start_to_its_goodbye(self, start_worker: StartWorker, database: Database) -> None:
        worker = start_worker("--name", "one", "--tags", "studio, big")
        until(lambda: state(database, "one") == "idle")
        joined = node(database, "one")
        assert (joined.engine, joined.gpu, joined.draws, joined.tags) == ("cycles", None, True, ["studio", "big"])
        assert (joined.bpy_version, joined.database_version) == ("4.5.15", database.newest_version())
        until(lambda: node(database, "one").seen_at - joined.seen_at > timedelta(seconds=8))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        assert state(database, "one") is None

    def test_of_a_killed_node_shows_it_gone_and_another_takes_its_place_at_once(
        self, start_worker: StartWorker, database: Database
    ) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        worker.kill()
        worker.wait()
        began = node(database, "one").started_at
        start_worker("--name", "one")
        until(lambda: node(database, "one").started_at > began, timeout_seconds=15)

    def test_ends_when_told_to_in_the_middle_of_a_sign_of_life(
        self, start_worker: StartWorker, database: Database
    ) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        with database.write() as db:
            db.execute(text("SELECT 1"))  # from here on the next sign waits for us
            time.sleep(HEARTBEAT_SECONDS + 1)
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED

    def test_told_to_end_takes_no_chunk_after_the_one_at_hand(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        for _ in range(2):
            upload(api, "walker.glb", length=3, shadows=False)
        worker = start_worker("--name", "one")
        until(lambda: node_works(database))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == exit_codes.STOPPED
        with database.read() as db:
            assert sorted(chunk.state for chunk in db.query(Chunk)) == ["done", "queued", "queued"]

    def test_of_two_on_one_machine_needs_two_names(self, start_worker: StartWorker, database: Database) -> None:
        start_worker("--name", "one")
        until(lambda: state(database, "one"))
        second = start_worker("--name", "one")
        assert second.wait(20) == exit_codes.REFUSED
        assert second.stderr
        assert "already" in second.stderr.read()


class TestTrouble:
    def test_with_redis_ends_the_worker_with_a_line_and_off_the_list(
        self, start_worker: StartWorker, database: Database, tmp_path: Path
    ) -> None:
        worker = start_worker("--name", "one", FARM_REDIS_URL=f"unix://{tmp_path}/none", FARM_LOG_LEVEL="error")
        assert worker.wait(30) == 1
        assert worker.stderr
        assert worker.stderr.read().splitlines()[-1].startswith("Redis does not answer")
        assert state(database, "one") is None

    def test_of_an_operator_who_changes_his_mind_at_once_leaves_nothing(
        self, start_worker: StartWorker, database: Database, tmp_path: Path
    ) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one"))  # it has joined, and starts Blender
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        assert state(database, "one") is None
        assert list((tmp_path / "scratch").iterdir()) == []


class TestSkew:
    def test_of_a_newer_database_ends_the_worker_with_a_line(
        self, start_worker: StartWorker, database: Database
    ) -> None:
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        worker = start_worker()
        assert worker.wait(20) == exit_codes.REFUSED
        assert worker.stderr
        [line] = worker.stderr.read().splitlines()
        assert "update Plinth on this node" in line

    def test_of_a_database_that_is_upgraded_meanwhile_ends_the_worker_after_its_chunk(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        for _ in range(6):
            upload(api, "walker.glb", length=30, shadows=False)
        worker = start_worker("--name", "one")
        until(lambda: node_works(database))
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        assert worker.wait(60) == exit_codes.REFUSED
        assert worker.stderr
        assert "newer than this node's" in worker.stderr.read().splitlines()[-1]
        assert state(database, "one") is None
        with database.read() as db:
            seen = {(chunk.state, chunk.attempt, chunk.failures) for chunk in db.query(Chunk)}
        assert seen == {("done", 1, 0), ("queued", 1, 0)}, "none was cut off"

    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_of_a_database_whose_nodes_look_different_now_is_noticed_all_the_same(
        self, settings: Settings, database: Database, redis: Redis, tmp_path: Path
    ) -> None:
        mine = facts.gather("one", [], "cycles", None, database, settings)
        registry.join(database, mine)
        worker = ChunkWorker(settings, redis, BlenderHost(tmp_path, settings.blender_bytes), mine)
        enter(WorkerContext("one", settings, "cycles", tmp_path, tmp_path))
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE nodes DROP COLUMN draws"))
        worker.heartbeat()
        assert worker.is_outdated

    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_that_no_version_explains_ends_the_worker_as_any_trouble_does(
        self, start_worker: StartWorker, settings: Settings, database: Database
    ) -> None:
        worker = start_worker("--name", "one", FARM_DATABASE_URL=settings.database)
        until(lambda: state(database, "one") == "idle")
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE nodes RENAME COLUMN draws TO drew"))
        assert worker.wait(30) == 1, "so that it is started again, as nobody upgraded anything"
        assert worker.stderr
        assert "ended by itself" in worker.stderr.read().splitlines()[-1]


class TestStorage:
    def test_that_is_not_the_farms_ends_the_worker_with_a_line(
        self, start_worker: StartWorker, settings: Settings, api: TestClient, tmp_path: Path
    ) -> None:
        upload(api, "draco.glb", length=3)
        worker = start_worker(FARM_DATA=str(tmp_path / "elsewhere"), FARM_DATABASE_URL=settings.database)
        assert worker.wait(20) == exit_codes.REFUSED
        assert worker.stderr
        [line] = worker.stderr.read().splitlines()
        assert "does not see the farm's files" in line

    def test_that_lost_a_file_keeps_no_worker_away(
        self, start_worker: StartWorker, settings: Settings, database: Database, api: TestClient
    ) -> None:
        for name in ("draco.glb", "walker.glb"):
            upload(api, name, length=3)
        (lost, *_) = (settings.files / "models").rglob("*.glb")
        lost.unlink()
        start_worker("--name", "one")
        until(lambda: state(database, "one"))


class TestRouting:
    def test_of_a_cpu_node_beside_a_gpu_does_what_is_urgent_until_the_gpu_is_gone(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        card = Gpu("a card", "its maker", software=False)
        gpu = facts.gather("gpu", [], "eevee", card, database, Settings())
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
    """Of the one preview (True) and the one render (False)."""
    with database.read() as db:
        return {render.is_system_preview: render.status for render in db.query(Render)}


class TestDrain:
    def test_ends_the_chunk_at_hand_then_the_worker_and_keeps_it_from_starting(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        first = upload(api, "walker.glb", length=6, shadows=False)
        second = upload(api, "walker.glb", length=3, shadows=False)
        worker = start_worker("--name", "one")
        until(lambda: node_works(database))
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


class TestCancel:
    @pytest.fixture
    def sizes(self) -> dict[str, float]:
        return ENDLESS

    def test_of_a_render_in_the_middle_of_a_long_frame_stops_the_work_within_5_seconds(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        worker = start_worker("--name", "one")
        [host] = until(lambda: blenders_of(worker))
        render = upload(api, "product.glb", length=3, shadows=False)
        until(lambda: node_works(database))
        seen = node(database, "one").seen_at
        until(lambda: host.cpu_percent(0.5) > 50)
        until(lambda: node(database, "one").seen_at > seen, timeout_seconds=15)  # it lives while it draws
        assert api.delete(f"/v1/renders/{render}").status_code == 200
        deleted = time.monotonic()
        until(lambda: host not in blenders_of(worker), timeout_seconds=20)
        assert time.monotonic() - deleted < 5
        with database.read() as db:
            assert nodes.named(db, "one").last_frame is None, "no frame was ever finished"
        until(lambda: blenders_of(worker))
        assert state(database, "one") == "idle"


class TestQuarantine:
    def test_of_a_worker_that_fails_every_model_keeps_the_rest_of_the_work_waiting(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        models = ["walker.glb", "draco.glb", "product.glb", "embedded.gltf"]
        for model in models:
            upload(api, model, length=3, shadows=False)
        worker = start_worker("--name", "one", FARM_FFMPEG="/bin/false", FARM_ATTEMPTS="1")
        until(lambda: state(database, "one") == "quarantined")
        reason = node(database, "one").quarantine_reason
        assert reason
        assert f"{MAX_FAILED_MODELS} models failed here" in reason
        time.sleep(3)
        with database.read() as db:
            statuses = [render.status for render in db.query(Render)]
        assert sorted(statuses) == ["error"] * MAX_FAILED_MODELS + ["pending"] * (len(models) - MAX_FAILED_MODELS)
        assert worker.poll() is None
        assert node(database, "one").seen_at > now() - timedelta(seconds=10)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        with database.read() as db:
            assert nodes.named(db, "one").quarantine_reason == reason


class TestHosts:
    def test_are_nodes_of_their_own_that_end_together(self, start_worker: StartWorker, database: Database) -> None:
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

    def test_that_are_all_drained_end_the_command(self, start_worker: StartWorker, database: Database) -> None:
        command = start_worker("--name", "box", "--hosts", "2")
        until(lambda: state(database, "box-1") == state(database, "box-2") == "idle")
        with database.write() as db:
            registry.drain(db, "box-1")
            registry.drain(db, "box-2")
        assert command.wait(20) == exit_codes.STOPPED


def node_works(database: Database) -> bool:
    return state(database, "one") == "working"

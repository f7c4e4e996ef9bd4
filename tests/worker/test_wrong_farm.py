"""A worker does not work with a database of another version, or with a storage that is not the farm's."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import text

from farm.blender.host_process import BlenderHost
from farm.db.session import Database
from farm.db.tables import Chunk
from farm.nodes import facts, registry
from farm.processes import exit_codes
from farm.rendering.engine import Choice, Devices
from farm.settings import Settings
from farm.worker.context import WorkerContext, enter
from farm.worker.worker import ChunkWorker
from tests.support.polling import until
from tests.support.workers import SMALL, StartWorker, state, upload

pytestmark = [pytest.mark.slow, pytest.mark.frames(SMALL)]


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
        until(lambda: state(database, "one") == "working")
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

"""A node that fails everything works beside a sound one: no render ends because of it."""

import signal

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import AttemptLog, Render
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.reaper import reap
from farm.settings import Settings
from tests.support.polling import until
from tests.support.workers import SMALL, StartWorker, node, state, upload

pytestmark = [pytest.mark.slow, pytest.mark.frames(SMALL)]

MODELS = ["walker.glb", "draco.glb", "product.glb", "embedded.gltf"]


def reaped_until_over(database: Database, settings: Settings, doorbell: Doorbell) -> list[Render]:
    """Let the reaper work until all renders are over."""

    def renders() -> list[Render]:
        reap(database, doorbell, settings)
        with database.read() as db:
            return db.query(Render).all()

    return until(renders, lambda found: {render.status for render in found} <= {"done", "error"})


def failed_on(database: Database) -> list[str]:
    """The nodes of the attempts that failed, one for each."""
    with database.read() as db:
        return [entry.worker for entry in db.query(AttemptLog).filter_by(outcome="failed")]


@pytest.mark.parametrize("attempts", ["1", "3"])
class TestFailingEncoder:
    def test_ends_no_render_beside_a_sound_node(
        self,
        start_worker: StartWorker,
        database: Database,
        settings: Settings,
        doorbell: Doorbell,
        api: TestClient,
        attempts: str,
    ) -> None:
        common = {"FARM_RETRY_SECONDS": "1", "FARM_ATTEMPTS": attempts}
        start_worker("--name", "sick", FARM_FFMPEG="/bin/false", **common)
        sound = start_worker("--name", "sound", **common)
        until(lambda: state(database, "sick") == state(database, "sound") == "idle")
        sound.send_signal(signal.SIGSTOP)  # the sick node claims first
        ids = [upload(api, model, length=3, shadows=False) for model in MODELS]
        until(lambda: failed_on(database))
        sound.send_signal(signal.SIGCONT)
        found = reaped_until_over(database, settings.model_copy(update={"attempts": int(attempts)}), doorbell)
        assert {render.status for render in found if render.id in ids} == {"done"}
        until(lambda: state(database, "sick") == "quarantined")
        assert "does not draw its test model" in (node(database, "sick").quarantine_reason or "")
        failures = failed_on(database)
        assert set(failures) == {"sick"}
        assert len(failures) <= 3, "it is checked after two failures"

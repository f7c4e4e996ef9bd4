"""The budget of a chunk: what it allows, what counts against it, and how a render ends that exceeds it."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
from fastapi.testclient import TestClient

from farm.db import chunks, clock
from farm.db.session import Database
from farm.db.tables import Chunk, Model, SuspectModel
from farm.errors import BlenderCrashed, OverBudget
from farm.orders.plan import ShotSpec
from farm.scene.shot import Engine
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant, ClaimedChunk
from farm.settings import Settings
from farm.worker import budget
from farm.worker.context import WorkerContext
from farm.worker.lease import Lease
from tests.support.api import credits_of
from tests.support.clients import INITIAL_CREDITS, new_client
from tests.support.polling import until
from tests.support.workers import ENDLESS, StartWorker, upload

CLAIMANT = Claimant("w", "cycles")


class SecondsGiven(Protocol):
    def __call__(self, chunk: ClaimedChunk, model_bytes: int, engine: Engine = ...) -> float: ...


@pytest.fixture
def chunk(database: Database, model: Model, settings: Settings, doorbell: Doorbell) -> ClaimedChunk:
    """A claimed preview: 30 frames."""
    with database.write() as db:
        submit.preview(db, model, settings, doorbell)
        claimed = leases.claim_next(db, CLAIMANT, seconds=30)
    assert claimed
    assert claimed.frames == 30
    return claimed


@pytest.fixture
def seconds_given(database: Database, settings: Settings, doorbell: Doorbell, tmp_path: Path) -> SecondsGiven:
    """The seconds that a chunk is given if its model has this many bytes."""

    def seconds(chunk: ClaimedChunk, model_bytes: int, engine: Engine = "cycles") -> float:
        context = WorkerContext("w", settings, engine, tmp_path / "sock", tmp_path)
        with (tmp_path / "model.glb").open("wb") as file:
            file.truncate(model_bytes)
        lease = Lease(database, doorbell, chunk, 30, lambda _: None)
        return budget.seconds_in_all(context, lease, ShotSpec(**chunk.spec), tmp_path / "model.glb")

    return seconds


def measured(database: Database, seconds_per_frame: float) -> None:
    """All chunks so far, drawn at this speed on the CPU."""
    with database.write() as db:
        for chunk in db.query(Chunk):
            chunk.state, chunk.seconds, chunk.shot.engine = "done", chunk.frames * seconds_per_frame, "cycles"


class TestSecondsGiven:
    def test_suffice_for_the_largest_honest_model(
        self, database: Database, chunk: ClaimedChunk, seconds_given: SecondsGiven
    ) -> None:
        """5.5 million triangles in 99 MB took 90 s to open and 120 s a frame (docs/client.md)."""
        measured(database, seconds_per_frame=0.15)
        assert seconds_given(chunk, 99 * 1024**2) > 90 + chunk.frames * 120

    def test_follow_the_frames_that_this_engine_drew(
        self, database: Database, settings: Settings, chunk: ClaimedChunk, seconds_given: SecondsGiven
    ) -> None:
        def measure(engine: Engine, seconds_per_frame: float, of_node: Engine = "cycles") -> float:
            with database.write() as db:
                row = db.get_one(Chunk, chunk.id)
                row.seconds, row.shot.engine = chunk.frames * seconds_per_frame, engine
            return seconds_given(chunk, 0, of_node)

        unmeasured = 120 + chunk.frames * settings.frame_timeout
        assert seconds_given(chunk, 0) == unmeasured
        assert measure("cycles", 0.5) == pytest.approx(120 + 20 * 0.5 * chunk.frames)
        slow = measure("cycles", 3.0)
        assert slow < 1000, "slow renders do not raise the budget without end"
        assert measure("cycles", 60.0) == slow
        assert measure("eevee", 3.0) == unmeasured
        trivial = measure("cycles", 0.001)
        assert 200 < trivial < 300, "trivial models do not shorten the budget of others"
        assert measure("eevee", 0.001, "eevee") == 120 + 120, "the least that any chunk gets"

    def test_follow_the_median_of_accounts(self, database: Database, chunk: ClaimedChunk) -> None:
        """Any number of slow chunks counts once, if they are of one account."""
        for name, seconds_per_frame, count in (("quick", 0.1, 1), ("usual", 0.5, 1), ("slow", 9.0, 30)):
            account = new_client(database, f"{name}@example.com").account
            with database.write() as db:
                mine = db.get_one(Chunk, chunk.id)
                same = {"shot_id": mine.shot_id, "tier": mine.tier, "priority": 1, "turn": 1, "frames": 10}
                drawn = {"state": "done", "seconds": 10 * seconds_per_frame}
                db.add_all(Chunk(account_id=account.id, **same, **drawn) for _ in range(count))
        with database.read() as db:
            assert chunks.seconds_per_frame(db, chunk.tier) == pytest.approx(0.5)

    def test_are_over_once_failed_attempts_took_them(self, chunk: ClaimedChunk, seconds_given: SecondsGiven) -> None:
        whole = seconds_given(chunk, 0)
        assert seconds_given(replace(chunk, seconds_lost=whole - 1), 0) == whole
        with pytest.raises(OverBudget):
            seconds_given(replace(chunk, seconds_lost=whole), 0)


@pytest.mark.on_both_databases
class TestSecondsLost:
    @pytest.mark.parametrize(("end", "lost"), [("fail", 60), ("expire", 0), ("release", 0)])
    def test_are_those_of_failed_attempts(
        self,
        database: Database,
        chunk: ClaimedChunk,
        doorbell: Doorbell,
        monkeypatch: pytest.MonkeyPatch,
        end: str,
        lost: float,
    ) -> None:
        """Not those of a node that vanished, or was stopped: the model may be as quick as any."""
        with database.write() as db:
            later = clock.now(db) + timedelta(seconds=60)
            monkeypatch.setattr(clock, "now", lambda _: later)
            if end == "fail":
                leases.fail(db, doorbell, chunk.id, 1, BlenderCrashed(), max_attempts=3)
            elif end == "expire":
                leases.expire(db, doorbell, chunk.id, 1, max_attempts=3)
            else:
                leases.release(db, doorbell, chunk.id, 1)
            row = db.get_one(Chunk, chunk.id)
            assert (row.state, row.attempt) == ("queued", 2)
            assert row.seconds_lost == pytest.approx(lost, abs=1)


@pytest.mark.slow
class TestRender:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update=ENDLESS)

    def test_ends_within_its_budget_and_is_refunded(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        upload(api, "draco.glb", length=3)
        measured(database, seconds_per_frame=1.0)
        render_id = upload(api, "walker.glb", length=3, shadows=False)
        tight = {"FARM_OPENING_TIMEOUT": "15", "FARM_MIN_BUDGET": "1", "FARM_BUDGET_FACTOR": "0.001"}
        start_worker("--name", "one", FARM_ATTEMPTS="9", **tight)
        render = until(lambda: api.get(f"/v1/renders/{render_id}").json()["data"], lambda it: it["status"] == "error")
        assert re.search("took longer than the 1[5-9] s that they are given", render["errorMessage"])
        assert credits_of(api) == INITIAL_CREDITS - 1, "only the first one was paid for"
        with database.read() as db:
            [hung] = db.query(SuspectModel).all()
            assert hung.hosts == 1
            assert all(chunk.seconds_lost < 30 for chunk in db.query(Chunk))

    def test_ends_at_once_when_opening_its_model_hangs(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        render_id = upload(api, "draco.glb", length=3)  # 5 KB: its size adds 0.05 s
        start_worker("--name", "one", FARM_OPENING_TIMEOUT="0.01")
        render = until(lambda: api.get(f"/v1/renders/{render_id}").json()["data"], lambda it: it["status"] == "error")
        assert "Opening this model took longer than" in render["errorMessage"]
        assert "attempts" not in render["errorMessage"]
        with database.read() as db:
            assert db.query(SuspectModel).one().hosts == 1

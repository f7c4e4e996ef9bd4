"""A render that a GPU node has begun is completed even if no GPU node returns."""

from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis

from farm.db import clock, nodes
from farm.db.session import Database
from farm.db.tables import Model, Render, Segment, now
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, reaper, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant
from farm.settings import Settings
from tests.support.clients import Client

pytestmark = pytest.mark.on_both_databases

CYCLES = Claimant("cpu", "cycles")


@pytest.fixture
def begun(
    database: Database, client: Client, settings: Settings, redis: Redis, gpu: Facts, cpu: Facts, doorbell: Doorbell
) -> Render:
    """A render whose first chunk was drawn by a GPU node, the only one of the farm."""
    for facts in (gpu, cpu):
        registry.join(database, facts)
    with database.write() as db:
        model = Model(account_id=client.account.id, original_name="a.glb", format="glb", file_size=1, sha256="0" * 64)
        db.add(model)
        db.flush()
        render = submit.render(db, model, RenderSettings(), settings, Doorbell(redis))
        chunk = leases.claim_next(db, Claimant("gpu", "eevee"), seconds=30)
        assert chunk
        assert leases.complete(db, doorbell, chunk, frames_done=chunk.frames) is not None
        db.add(Segment(render_id=render.id, chunk_id=chunk.id, kind="video", storage_key="renders/a/b"))
    return render


def expire(database: Database, facts: Facts, ago: timedelta) -> None:
    with database.write() as db:
        nodes.named(db, facts.name).seen_at = now() - ago


class TestOrphanedShot:
    def test_restarts_the_shot_with_another_engine(
        self, database: Database, begun: Render, gpu: Facts, settings: Settings, redis: Redis
    ) -> None:
        expire(database, gpu, 2 * nodes.RESTART_GRACE)
        reaper.reap(database, Doorbell(redis), settings)
        with database.write() as db:
            chunk = leases.claim_next(db, CYCLES, seconds=30)
            assert chunk
            assert (chunk.shot_id, chunk.first_frame, chunk.attempt) == (begun.shot_id, 0, 2)
            assert db.query(Segment).count() == 0

    def test_restarts_the_shot_if_its_only_node_has_come_back_with_another_engine(
        self, database: Database, begun: Render, gpu: Facts, settings: Settings, redis: Redis
    ) -> None:
        """As after an update of its driver, which makes it measure again."""
        registry.join(database, replace(gpu, engine="cycles-optix"))
        with database.write() as db:
            assert registry.claimant(db, gpu.name) == Claimant(gpu.name, "cycles-optix")
            assert leases.claim_next(db, Claimant(gpu.name, "cycles-optix"), seconds=30) is None
        reaper.reap(database, Doorbell(redis), settings)
        with database.write() as db:
            chunk = leases.claim_next(db, Claimant(gpu.name, "cycles-optix"), seconds=30)
            assert chunk
            assert (chunk.shot_id, chunk.first_frame) == (begun.shot_id, 0)
            assert db.query(Segment).count() == 0

    def test_waits_for_a_node_that_may_be_restarting(
        self, database: Database, begun: Render, gpu: Facts, settings: Settings, redis: Redis
    ) -> None:
        expire(database, gpu, nodes.RESTART_GRACE / 2)
        reaper.reap(database, Doorbell(redis), settings)
        with database.write() as db:
            assert leases.claim_next(db, CYCLES, seconds=30) is None
            assert db.get_one(Render, begun.id).shot.engine == "eevee"

    @pytest.mark.parametrize(("grace", "restarts"), [(0.5, False), (2, True)])
    def test_waits_for_a_node_that_may_soon_leave_quarantine(
        self,
        database: Database,
        begun: Render,
        settings: Settings,
        doorbell: Doorbell,
        grace: float,
        restarts: bool,
    ) -> None:
        with database.write() as db:
            nodes.named(db, "gpu").quarantined_at = clock.now(db) - grace * nodes.RESTART_GRACE
        reaper.reap(database, doorbell, settings)
        with database.read() as db:
            assert db.get_one(Render, begun.id).shot.engine == (None if restarts else "eevee")

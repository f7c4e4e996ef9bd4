"""Which work a worker takes, and which it drops: previews on a CPU, drained nodes, deleted renders."""

import time
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Chunk, Render, now
from farm.nodes import facts, registry
from farm.processes import exit_codes
from farm.rendering.engine import Choice
from farm.settings import Settings
from tests.support.nodes import CARD
from tests.support.polling import until
from tests.support.workers import ENDLESS, SMALL, StartWorker, blenders_of, node, state, upload

pytestmark = [pytest.mark.slow, pytest.mark.frames(SMALL)]


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
        until(lambda: state(database, "one") == "working")
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


@pytest.mark.frames(ENDLESS)
class TestDeletedRender:
    def test_stops_drawing_a_deleted_render_within_5_seconds(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        worker = start_worker("--name", "one")
        [host] = until(lambda: blenders_of(worker))
        render = upload(api, "product.glb", length=3, shadows=False)
        until(lambda: state(database, "one") == "working")
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

"""Queuing renders: their rows, their chunks, and the wake-ups of workers."""

import contextlib

import pytest
from redis import Redis

from farm.db import chunks
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.session import Database
from farm.db.tables import Chunk, Model, Render, Shot
from farm.nodes import facts, registry
from farm.orders import plan
from farm.orders.render_settings import RenderSettings
from farm.rendering.engine import Choice, Devices
from farm.scheduling import reaper, submit
from farm.scheduling.doorbell import MAX_WAKE_UPS, Doorbell, queue
from farm.settings import Settings
from farm.worker.lease import Lease
from tests.support.chunks import as_claimed, claimed

pytestmark = pytest.mark.on_both_databases


def wake_ups(redis: Redis, priority: int) -> int:
    return len(queue(priority, redis))


def chunks_of(database: Database, render: Render) -> int:
    with database.read() as db:
        return len(db.get_one(Render, render.id).shot.chunks)


class TestRender:
    def test_adds_a_shot_and_chunks_that_cover_its_frames(self, database: Database, render: Render) -> None:
        with database.read() as db:
            shot = db.get_one(Shot, render.shot_id)
            assert sum(chunk.frames for chunk in shot.chunks) == shot.frames == 180
            assert plan.ShotSpec(**shot.spec).digest == shot.digest
        assert (render.status, render.is_system_preview) == ("pending", False)
        assert RenderSettings.model_validate(render.settings) == RenderSettings()

    def test_wakes_a_worker_for_each_chunk(self, database: Database, render: Render, redis: Redis) -> None:
        assert (wake_ups(redis, DRAWING), wake_ups(redis, PREVIEW)) == (chunks_of(database, render), 0)

    def test_wakes_none_before_the_commit_or_after_a_rollback(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        with contextlib.suppress(ZeroDivisionError), database.write() as db:
            submit.render(db, model, RenderSettings(), settings, Doorbell(redis))
            assert wake_ups(redis, DRAWING) == 0
            raise ZeroDivisionError
        assert wake_ups(redis, DRAWING) == 0

    def test_limits_the_number_of_pending_wake_ups(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        requests = [(model, RenderSettings(rotate_y=number)) for number in range(100)]
        with database.write() as db:
            submit.renders(db, model.account_id, requests, settings, Doorbell(redis))
        assert wake_ups(redis, DRAWING) == MAX_WAKE_UPS

    def test_cuts_chunks_by_recent_speed_and_number_of_nodes(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        settings = settings.model_copy(update={"chunk_seconds": 60.0})

        def cut(seconds_per_frame: float) -> list[int]:
            """The frames of each chunk of the next render, if each earlier frame took this long."""
            with database.write() as db:
                for chunk in db.query(Chunk):
                    chunk.seconds = chunk.frames * seconds_per_frame
                ordered = submit.render(db, model, RenderSettings(), settings, Doorbell(redis))
                db.flush()
                return [chunk.frames for chunk in sorted(ordered.shot.chunks, key=lambda chunk: chunk.first_frame)]

        cut(0.0)
        assert (cut(2.0), cut(0.25)) == ([30] * 6, [180])
        for name in ("one", "two"):
            registry.join(database, facts.gather(name, [], Choice("cycles"), Devices(), database, settings))
        assert cut(0.25) == [90, 90]


class TestPreview:
    def test_wakes_a_worker_through_a_queue_of_their_own(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        with database.write() as db:
            preview = submit.preview(db, model, settings, Doorbell(redis))
        assert preview.is_system_preview
        assert (wake_ups(redis, PREVIEW), wake_ups(redis, DRAWING)) == (1, 0)


class TestLastChunk:
    def test_wakes_a_worker_to_finish_each_render(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        requests = [(model, RenderSettings(bg_color=f"#00000{digit}")) for digit in range(3)]
        with database.write() as db:
            [render, *_] = submit.renders(db, model.account_id, requests, settings, Doorbell(redis))
            parts = [as_claimed(claimed(db, chunk)) for chunk in db.get_one(Shot, render.shot_id).chunks]
        for part in parts:
            with Lease(database, Doorbell(redis), part, 30, lambda _: None).completing():
                assert wake_ups(redis, FINISHING) == 0
        assert wake_ups(redis, FINISHING) == 3


class TestReaper:
    def test_wakes_workers_for_chunks_whose_wake_up_was_lost(
        self, database: Database, render: Render, settings: Settings, redis: Redis
    ) -> None:
        redis.flushall()
        reaper.reap(database, Doorbell(redis), settings)
        assert wake_ups(redis, DRAWING) == chunks_of(database, render)

    def test_repeats_no_wake_up_that_is_still_pending(
        self, database: Database, render: Render, settings: Settings, redis: Redis
    ) -> None:
        for _ in range(2):
            reaper.reap(database, Doorbell(redis), settings)
        assert wake_ups(redis, DRAWING) == chunks_of(database, render)

    def test_wakes_no_worker_if_no_chunk_waits(self, database: Database, settings: Settings, redis: Redis) -> None:
        reaper.reap(database, Doorbell(redis), settings)
        with database.read() as db:
            assert chunks.count_waiting(db, DRAWING, limit=1) == 0
        assert [wake_ups(redis, priority) for priority in (FINISHING, PREVIEW, DRAWING)] == [0, 0, 0]

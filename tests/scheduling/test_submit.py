"""From a render_settings to rows and rings."""

import pytest
from redis import Redis
from sqlalchemy.orm import Session

from farm.db import chunks
from farm.db.chunks import DRAWING, URGENT
from farm.db.session import Database
from farm.db.tables import Chunk, Model, Render, Shot
from farm.nodes import facts, registry
from farm.orders import plan
from farm.orders.render_settings import RenderSettings
from farm.scheduling import reaper, submit
from farm.scheduling.doorbell import MOST_RINGS, NAMES, Doorbell, queue
from farm.settings import Settings
from farm.worker.lease import Lease
from tests.support.chunks import as_claimed, claimed

pytestmark = pytest.mark.on_both_databases


def rings(redis: Redis, priority: int) -> int:
    return len(queue(NAMES[priority], redis))


class TestRender:
    def test_has_a_shot_and_chunks_that_cover_its_frames(self, database: Database, render: Render) -> None:
        with database.read() as db:
            shot = db.get_one(Shot, render.shot_id)
            assert sum(chunk.frames for chunk in shot.chunks) == shot.frames == 180
            assert plan.ShotSpec(**shot.spec).digest == shot.digest
        assert (render.status, render.is_system_preview) == ("pending", False)
        assert RenderSettings.model_validate(render.settings) == RenderSettings()

    def test_rings_once_for_each_chunk(self, database: Database, render: Render, redis: Redis) -> None:
        with database.read() as db:
            chunks = len(db.get_one(Render, render.id).shot.chunks)
        assert (rings(redis, DRAWING), rings(redis, URGENT)) == (chunks, 0)

    def test_does_not_ring_before_the_commit_nor_after_a_rollback(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        with database.write() as db:
            submit.render(db, model, RenderSettings(), settings, Doorbell(redis))
            assert rings(redis, DRAWING) == 0
            db.rollback()
        assert rings(redis, DRAWING) == 0

    def test_rings_no_more_often_than_there_can_be_workers(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        requests = [(model, RenderSettings(rotate_y=number)) for number in range(100)]
        with database.write() as db:
            submit.renders(db, model.account_id, requests, settings, Doorbell(redis))
        assert rings(redis, DRAWING) == MOST_RINGS

    def test_is_cut_by_what_frames_of_its_tier_took_lately_and_for_all_nodes_that_draw(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        settings = settings.model_copy(update={"chunk_seconds": 60.0})

        def cut(seconds_a_frame: float) -> list[int]:
            """The frames of each chunk of the next render, where all before took so long."""
            with database.write() as db:
                for chunk in db.query(Chunk):
                    chunk.seconds = chunk.frames * seconds_a_frame
                ordered = submit.render(db, model, RenderSettings(), settings, Doorbell(redis))
                db.flush()
                return [chunk.frames for chunk in sorted(ordered.shot.chunks, key=lambda chunk: chunk.first_frame)]

        cut(0.0)
        assert (cut(2.0), cut(0.25)) == ([30] * 6, [180])
        for name in ("one", "two"):
            registry.join(database, facts.gather(name, [], "cycles", None, database, settings))
        assert cut(0.25) == [90, 90]


class TestPreview:
    def test_waits_in_the_queue_that_workers_empty_first(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        with database.write() as db:
            preview = submit.preview(db, model, settings, Doorbell(redis))
        assert preview.is_system_preview
        assert rings(redis, URGENT) == 1


class TestLastChunk:
    def test_rings_for_all_that_finish_but_the_one_that_its_work_horse_takes_itself(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        requests = [(model, RenderSettings(bg_color=f"#00000{digit}")) for digit in range(3)]
        with database.write() as db:
            [render, *_] = submit.renders(db, model.account_id, requests, settings, Doorbell(redis))
            parts = [as_claimed(claimed(db, chunk)) for chunk in db.get_one(Shot, render.shot_id).chunks]
        for part in parts:
            with Lease(database, part, 30, lambda _: None).completing(Doorbell(redis)):
                assert rings(redis, URGENT) == 0
        assert rings(redis, URGENT) == 2


class TestReaper:
    def test_rings_again_for_all_that_wait(
        self, database: Database, render: Render, settings: Settings, redis: Redis
    ) -> None:
        with database.read() as db:
            chunks = len(db.get_one(Render, render.id).shot.chunks)
        redis.flushall()
        reaper.sweep(database, Doorbell(redis), settings)
        assert rings(redis, DRAWING) == chunks
        reaper.sweep(database, Doorbell(redis), settings)
        assert rings(redis, DRAWING) == chunks, "those that still wait are not repeated"

    def test_takes_back_what_nobody_needs_to_hear_any_more_and_leaves_nothing_of_it(
        self, database: Database, render: Render, settings: Settings, redis: Redis
    ) -> None:
        Doorbell(redis).ring(URGENT, 3)
        with database.write() as db:
            for chunk in db.get_one(Render, render.id).shot.chunks[1:]:
                claimed(db, chunk)
        reaper.sweep(database, Doorbell(redis), settings)
        assert (rings(redis, URGENT), rings(redis, DRAWING)) == (0, 1)
        assert len(redis.keys("rq:job:*")) == 1

    @pytest.mark.parametrize("stale", [0, 3, MOST_RINGS])
    def test_leaves_a_ring_for_all_that_is_ordered_while_it_counts_and_another_does_the_same(
        self,
        database: Database,
        model: Model,
        settings: Settings,
        redis: Redis,
        monkeypatch: pytest.MonkeyPatch,
        stale: int,
    ) -> None:
        def count_before_an_order(db: Session, priority: int, *, at_most: int) -> int:
            counted = waiting(db, priority, at_most=at_most)
            if priority == DRAWING:
                monkeypatch.setattr(chunks, "waiting", waiting)  # once
                with database.write() as other:
                    submit.render(other, model, RenderSettings(), settings, Doorbell(redis))
                Doorbell(redis).ring_for_all(database)
            return counted

        waiting = chunks.waiting
        Doorbell(redis).ring(DRAWING, stale)
        monkeypatch.setattr(chunks, "waiting", count_before_an_order)
        Doorbell(redis).ring_for_all(database)
        with database.read() as db:
            assert rings(redis, DRAWING) == waiting(db, DRAWING, at_most=MOST_RINGS) > 0

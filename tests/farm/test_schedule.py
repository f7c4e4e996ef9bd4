"""From a wish to rows and rings."""

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import select

from farm import plan, schedule
from farm.db.session import Database
from farm.db.tables import Chunk, Model, Render, Shot
from farm.queue.queues import PREVIEWS, RENDERS, Doorbell
from farm.render_settings import RenderSettings
from farm.settings import Settings

pytestmark = pytest.mark.on_both_databases


def rings(redis: Redis, name: str) -> list[list[object]]:
    queue = Queue(name, connection=redis, serializer=JSONSerializer())
    return [list(job.args) for job in queue.jobs]


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
            chunk = db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id)).one()
        assert rings(redis, RENDERS) == [[chunk.id, 1]]
        assert rings(redis, PREVIEWS) == []

    def test_does_not_ring_before_the_commit_nor_after_a_rollback(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        with database.write() as db:
            schedule.render(db, model, RenderSettings(), settings, Doorbell(redis))
            assert rings(redis, RENDERS) == []
            db.rollback()
        assert rings(redis, RENDERS) == []


class TestPreview:
    def test_waits_in_the_queue_that_workers_empty_first(
        self, database: Database, model: Model, settings: Settings, redis: Redis
    ) -> None:
        with database.write() as db:
            preview = schedule.preview(db, model, settings, Doorbell(redis))
        assert preview.is_system_preview
        assert len(rings(redis, PREVIEWS)) == 1

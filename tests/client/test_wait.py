"""Waiting for renders with both clients: one, or several with one request each time."""

from pathlib import Path

import httpx
import pytest

from farm.db.session import Database
from farm.db.tables import Render as RenderRow
from farm.scheduling import render_status
from plinth_client import NotFound, Plinth, Render, RenderFailed, WaitTimeout
from tests.client.driven import KINDS
from tests.support.finished_renders import Finish


class TestWaitAll:
    def test_returns_done_and_failed_renders_in_order(
        self, plinth: Plinth, chair: Path, finished: Finish, database: Database
    ) -> None:
        model_id = plinth.models.upload(chair).model_id
        good, bad = (plinth.renders.create(model_id).id for _ in range(2))
        finished(good)
        with database.write() as db:
            render_status.advance(db, db.get_one(RenderRow, bad), "error", message="The model has no mesh")
        one, two = plinth.renders.wait_all([bad, good], timeout=30)
        assert [(one.id, one.status, two.id, two.status)] == [(bad, "error", good, "done")]
        assert one.error_message == "The model has no mesh"
        waiting = plinth.renders.create(model_id).id
        with pytest.raises(WaitTimeout):
            plinth.renders.wait_all([good, waiting], timeout=0)

    def test_sends_one_request_for_all_renders_of_a_poll(
        self, plinth: Plinth, chair: Path, finished: Finish, sent: list[httpx.Request]
    ) -> None:
        model_id = plinth.models.upload(chair).model_id
        # Of three shots.
        ids = [plinth.renders.create(model_id, {"length": length}).id for length in (4, 5, 6.5)]
        finished(ids[0])
        polls: list[tuple[str, str]] = []

        def record(render: Render) -> None:
            polls.append((render.id, render.status))
            if len(polls) == 3:
                finished(ids[1])
                finished(ids[2])

        sent.clear()
        assert [render.id for render in plinth.renders.wait_all(ids, on_progress=record, timeout=30)] == ids
        first, second = (dict(request.url.params) for request in sent)
        assert (first["ids"], second["ids"]) == (",".join(ids), ",".join(ids[1:]))
        assert polls == [
            *((ids[0], "done"), (ids[1], "pending"), (ids[2], "pending")),
            *((ids[1], "done"), (ids[2], "done")),
        ]

    def test_asks_for_more_renders_than_a_page_in_several_requests(
        self, plinth: Plinth, chair: Path, finished: Finish, sent: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for kind in KINDS:
            monkeypatch.setattr(f"plinth_client.{kind}.renders.MAX_PAGE_SIZE", 2)
        model_id = plinth.models.upload(chair).model_id
        # Of three shots.
        ids = [plinth.renders.create(model_id, {"length": length}).id for length in (4, 5, 6.5)]
        for render_id in ids:
            finished(render_id)
        sent.clear()
        assert [render.id for render in plinth.renders.wait_all([*ids, ids[0]])] == [*ids, ids[0]]
        assert [request.url.params["ids"] for request in sent] == [",".join(ids[:2]), ids[2]]

    def test_of_no_renders_ends_at_once(self, plinth: Plinth) -> None:
        assert plinth.renders.wait_all([]) == ()

    def test_refuses_a_render_that_does_not_exist(self, plinth: Plinth, chair: Path) -> None:
        render_id = plinth.models.upload(chair).render_id
        with pytest.raises(NotFound) as refused:
            plinth.renders.wait_all([render_id, "Xz7pQ4w8nR2k"])
        assert refused.value.code == "render_not_found"


class TestWait:
    def test_ends_when_the_render_is_done(self, plinth: Plinth, chair: Path, finished: Finish) -> None:
        render_id = plinth.models.upload(chair).render_id
        seen: list[str] = []

        def record(render: Render) -> None:
            seen.append(render.status)
            if len(seen) == 1:
                finished(render_id)

        render = plinth.renders.wait(render_id, on_progress=record)
        assert seen == ["pending", "done"]
        assert render.progress is not None
        assert render.progress.frames == render.progress.of
        assert render.file_size

    def test_raises_the_error_message_of_the_render(self, plinth: Plinth, chair: Path, database: Database) -> None:
        render_id = plinth.models.upload(chair).render_id
        with database.write() as db:
            render_status.advance(db, db.get_one(RenderRow, render_id), "error", message="The model has no mesh")
        with pytest.raises(RenderFailed, match="The model has no mesh") as failed:
            plinth.renders.wait(render_id)
        assert failed.value.render.id == render_id

    def test_raises_after_the_timeout(self, plinth: Plinth, chair: Path) -> None:
        with pytest.raises(WaitTimeout, match="still pending"):
            plinth.renders.wait(plinth.models.upload(chair).render_id, timeout=0.2)

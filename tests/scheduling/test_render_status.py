"""A render's status advances in one direction only."""

from itertools import product

import pytest

from farm.db.session import Database
from farm.db.tables import Asset, Render
from farm.errors import InvalidTransition
from farm.scheduling import render_status
from farm.scheduling.render_status import NEXT

ORDER = ["pending", "poster-processing", "poster-done", "video-processing", "done"]
POSITIONS = range(len(ORDER))


def steps(database: Database, render: Render, *statuses: str) -> Render:
    with database.write() as db:
        row = db.get_one(Render, render.id)
        for status in statuses:
            render_status.advance(db, row, status, message="why" if status == "error" else None)
    return row


class TestAdvance:
    def test_reaches_done_by_every_step(self, database: Database, render: Render) -> None:
        assert [steps(database, render, status).status for status in ORDER] == ORDER

    def test_sets_the_time_of_the_change(self, database: Database, render: Render) -> None:
        assert steps(database, render, "poster-processing").updated_at > render.updated_at

    @pytest.mark.parametrize("reached", ORDER[:-1])
    def test_allows_an_error_before_done(self, database: Database, render: Render, reached: str) -> None:
        row = steps(database, render, *ORDER[: ORDER.index(reached) + 1], "error")
        assert (row.status, row.error_message) == ("error", "why")

    @pytest.mark.parametrize(("reached", "to"), [(i, j) for i, j in product(POSITIONS, POSITIONS) if j < i])
    def test_ignores_a_step_that_was_passed(self, database: Database, render: Render, reached: int, to: int) -> None:
        steps(database, render, *ORDER[: reached + 1])
        assert steps(database, render, ORDER[to]).status == ORDER[reached]

    @pytest.mark.parametrize(("reached", "to"), [(i, j) for i, j in product(POSITIONS, POSITIONS) if j > i + 1])
    def test_refuses_to_skip_a_step(self, database: Database, render: Render, reached: int, to: int) -> None:
        steps(database, render, *ORDER[: reached + 1])
        with pytest.raises(InvalidTransition):
            steps(database, render, ORDER[to])

    @pytest.mark.parametrize("to", ["error", "failed"])
    def test_leaves_a_dismissed_error_and_its_message_unchanged(
        self, database: Database, render: Render, to: str
    ) -> None:
        row = steps(database, render, "error", "failed", to)
        assert (row.status, row.error_message) == ("failed", "why")

    @pytest.mark.parametrize("reached", ORDER)
    def test_dismisses_only_an_error(self, database: Database, render: Render, reached: str) -> None:
        steps(database, render, *ORDER[: ORDER.index(reached) + 1])
        with pytest.raises(InvalidTransition):
            steps(database, render, "failed")

    def test_forgets_the_error_of_a_render_that_is_retried(self, database: Database, render: Render) -> None:
        row = steps(database, render, "error", "pending")
        assert (row.status, row.error_message) == ("pending", None)

    @pytest.mark.parametrize("to", ["error", "done"])
    def test_keeps_assets_only_of_what_was_paid_for(self, database: Database, render: Render, to: str) -> None:
        steps(database, render, *ORDER[:-1])
        with database.write() as db:
            for kind in ("poster", "poster-full"):
                key = f"renders/{render.id}/{kind}.png"
                db.add(Asset(render_id=render.id, kind=kind, storage_key=key, content_type="image/png", size=9))
        steps(database, render, to)
        with database.read() as db:
            assert db.query(Asset).count() == (2 if to == "done" else 0)

    @pytest.mark.parametrize("to", ORDER[1:])
    def test_refuses_to_continue_after_an_error(self, database: Database, render: Render, to: str) -> None:
        steps(database, render, "error")
        with pytest.raises(InvalidTransition):
            steps(database, render, to)


class TestNext:
    def test_has_every_status_and_no_other(self) -> None:
        assert set(NEXT) == {*ORDER, "error", "failed"}
        assert set().union(*NEXT.values()) <= set(NEXT)

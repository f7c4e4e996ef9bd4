"""A render's status goes one way."""

from itertools import product

import pytest

from farm.db.session import Database
from farm.db.tables import Render
from farm.errors import InvalidTransition
from farm.scheduling import render_status
from farm.scheduling.render_status import NEXT, ORDER


def steps(database: Database, render: Render, *statuses: str) -> Render:
    with database.write() as db:
        row = db.get_one(Render, render.id)
        for status in statuses:
            render_status.advance(db, row, status, message="why" if status == "error" else None)
    return row


class TestAdvance:
    def test_goes_all_the_way(self, database: Database, render: Render) -> None:
        assert steps(database, render, *ORDER).status == "done"

    def test_tells_when(self, database: Database, render: Render) -> None:
        assert steps(database, render, "poster-processing").updated_at > render.updated_at

    @pytest.mark.parametrize("reached", ORDER[:-1])
    def test_may_end_as_an_error_before_it_is_done(self, database: Database, render: Render, reached: str) -> None:
        row = steps(database, render, *ORDER[: ORDER.index(reached) + 1], "error")
        assert (row.status, row.error_message) == ("error", "why")

    @pytest.mark.parametrize(("reached", "to"), [pair for pair in product(ORDER, ORDER) if pair[0] != pair[1]])
    def test_passes_over_steps_already_taken_and_leaves_none_out(
        self, database: Database, render: Render, reached: str, to: str
    ) -> None:
        steps(database, render, *ORDER[: ORDER.index(reached) + 1])
        if ORDER.index(to) < ORDER.index(reached):
            assert steps(database, render, to).status == reached
        elif to in NEXT[reached]:
            assert steps(database, render, to).status == to
        else:
            with pytest.raises(InvalidTransition):
                steps(database, render, to)

    @pytest.mark.parametrize("to", ["error", "failed"])
    def test_a_dismissed_error_stays_dismissed_and_keeps_its_message(
        self, database: Database, render: Render, to: str
    ) -> None:
        row = steps(database, render, "error", "failed", to)
        assert (row.status, row.error_message) == ("failed", "why")

    @pytest.mark.parametrize("reached", ORDER)
    def test_only_an_error_can_be_dismissed(self, database: Database, render: Render, reached: str) -> None:
        steps(database, render, *ORDER[: ORDER.index(reached) + 1])
        with pytest.raises(InvalidTransition):
            steps(database, render, "failed")

    @pytest.mark.parametrize("to", ORDER)
    def test_never_leaves_an_error(self, database: Database, render: Render, to: str) -> None:
        steps(database, render, "error")
        with pytest.raises(InvalidTransition):
            steps(database, render, to)


def test_the_table_knows_every_status() -> None:
    assert set(NEXT) == set(ORDER) | {"error", "failed"}
    assert set().union(*NEXT.values()) <= set(NEXT)

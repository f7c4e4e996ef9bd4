"""Charts: the paths of their curves, the numbers behind them, and what they say in words."""

from datetime import timedelta

import pytest

from api.operator.charts import Chart, duration
from api.operator.timeline import WIDTH, Timeline
from farm.db import clock, history
from farm.db.history import Intervals, Outcomes
from farm.db.session import Database
from farm.db.tables import Asset, AttemptLog, Chunk, Model, Render, now
from tests.support.operator import shown
from tests.support.portal import Browser


class TestChart:
    def test_ends_at_a_round_number(self) -> None:
        for largest, top in ((0, 1), (0.3, 0.5), (1, 1), (7, 10), (21, 25), (1001, 2000)):
            assert Chart([0, largest]).top == pytest.approx(top)

    def test_is_drawn_over_its_whole_width(self) -> None:
        chart = Chart([0, 10, 5])
        assert chart.line == "M0,100 L5,100 L15,0 L25,50 H30"
        assert chart.area.endswith("V100 H0 Z")
        assert chart.bars == [(100, 0), (0, 100), (50, 50)]

    def test_reads_lengths_of_time(self) -> None:
        assert [duration(seconds) for seconds in (0.4, 119, 120, 7199, 7200)] == [
            "0 s",
            "119 s",
            "2 min",
            "120 min",
            "2.0 h",
        ]


def attempt(
    database: Database, render: Render, *, ended: timedelta, outcome: str = "finished", worker: str = "box"
) -> None:
    """Add a chunk of 30 frames, and an attempt at it of 20 s that ended so long ago; it waited for 10 s before."""
    with database.write() as db:
        ended_at = clock.now(db) - ended
        began_at = ended_at - timedelta(seconds=20)
        chunk = Chunk(
            shot_id=render.shot_id,
            account_id=render.account_id,
            tier="share",
            frames=30,
            priority=2,
            turn=0,
            state="done",
            created_at=began_at - timedelta(seconds=10),
        )
        db.add(chunk)
        db.flush()
        entry = AttemptLog(chunk_id=chunk.id, attempt=1, worker=worker, outcome=outcome, noticed_by="worker")
        entry.began_at, entry.ended_at = began_at, ended_at
        db.add(entry)


@pytest.mark.on_both_databases
class TestHistory:
    def test_counts_frames_waits_and_failures_in_their_intervals(self, database: Database, render: Render) -> None:
        attempt(database, render, ended=timedelta(seconds=30))
        attempt(database, render, ended=timedelta(seconds=90), worker="other")
        attempt(database, render, ended=timedelta(seconds=95), outcome="failed")
        attempt(database, render, ended=timedelta(seconds=100), outcome="released")
        attempt(database, render, ended=timedelta(hours=2))
        with database.read() as db:
            at = clock.now(db)
            minutes = Intervals(at, 60, 3)
            assert history.frames(db, minutes) == [0, 0.5, 0.5]
            assert history.frames_of_nodes(db, minutes) == {"box": [0, 0, 0.5], "other": [0, 0.5, 0]}
            assert history.frames_of_nodes(db, minutes, ["other"]).keys() == {"other"}
            assert history.failures(db, minutes) == [0, 1, 0]
            assert history.waits(db, minutes) == pytest.approx([0, 10, 10], abs=1)
            assert history.outcomes_of_nodes(db, at - timedelta(hours=1)) == {
                "box": Outcomes(1, 1),
                "other": Outcomes(1, 0),
            }

    def test_counts_files_that_are_still_stored(self, database: Database, render: Render, model: Model) -> None:
        with database.write() as db:
            at = clock.now(db)
            for ended, size in ((30, 100), (150, 7), (600, 1000)):
                db.add(
                    Asset(
                        render_id=render.id,
                        kind=f"k{size}",
                        storage_key="x",
                        content_type="x",
                        size=size,
                        created_at=at - timedelta(seconds=ended),
                    )
                )
            db.get_one(Model, model.id).has_file = False
        with database.read() as db:
            assert history.stored(db, Intervals(at, 60, 3)) == [7, 0, 100]

    def test_says_it_in_words_and_numbers(self, operator: Browser, database: Database, render: Render) -> None:
        attempt(database, render, ended=timedelta(seconds=30), outcome="failed")
        page = operator.get("/operator/charts").text
        assert 'aria-label="Failed attempts: 1 in all; the largest value is 1, the last 1"' in page
        assert "Failed attempts 1 in all" in shown(operator, "/operator/charts?span=week")


class TestTimeline:
    def test_places_waits_and_attempts(self) -> None:
        at = now()
        chunk = Chunk(state="done", created_at=at, first_frame=0, frames=1)
        entries = [
            AttemptLog(
                began_at=at + timedelta(seconds=start), ended_at=at + timedelta(seconds=end), outcome=outcome, worker=w
            )
            for start, end, outcome, w in ((20, 50, "failed", "one"), (60, 100, "finished", "two"))
        ]
        timeline = Timeline.of([(chunk, entries)], at, at + timedelta(hours=1))
        assert timeline.seconds == 100
        [row] = timeline.rows
        assert row.nodes == ["one", "two"]
        assert [(bar.kind, bar.x, bar.width) for bar in row.bars] == [
            ("waiting", 0, 200),
            ("failed", 200, 300),
            ("waiting", 500, 100),
            ("finished", 600, 400),
        ]
        assert row.bars[-1].x + row.bars[-1].width <= WIDTH

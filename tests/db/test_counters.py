"""Counters keep their value when the reaper merges their increments."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from farm.db import counters
from farm.db.session import Database
from farm.db.tables import CounterIncrement

pytestmark = pytest.mark.on_both_databases

LABELS = {"tier": "share", "engine": "cycles", "source": "drawn", "node": "box"}


def count(database: Database, times: int) -> None:
    with database.write() as db:
        for _ in range(times):
            counters.FRAMES.add(db, 2, **LABELS)
            counters.CREDITS.add(db, 1, kind="charge")


def merge(database: Database) -> None:
    with database.write() as db:
        counters.merge(db)


def totals(database: Database, counter: counters.Counter) -> dict[tuple[str, ...], float]:
    with database.read() as db:
        return counter.totals(db)


def rows(database: Database) -> int:
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(CounterIncrement)) or 0


class TestMerge:
    def test_replaces_many_rows_by_one_per_counter(self, database: Database) -> None:
        count(database, counters.MERGE_AT_ROWS)
        merge(database)
        assert rows(database) == 2
        assert totals(database, counters.FRAMES) == {("share", "cycles", "drawn", "box"): 2 * counters.MERGE_AT_ROWS}
        assert totals(database, counters.CREDITS) == {("charge",): counters.MERGE_AT_ROWS}

    def test_leaves_few_rows_unchanged(self, database: Database) -> None:
        count(database, 3)
        merge(database)
        assert rows(database) == 6

    def test_loses_nothing_to_concurrent_merges_and_counts(self, database: Database) -> None:
        count(database, counters.MERGE_AT_ROWS)
        with ThreadPoolExecutor(6) as pool:
            work = [pool.submit(merge, database) for _ in range(2)]
            work += [pool.submit(count, database, 50) for _ in range(4)]
            for each in work:
                each.result()
        assert totals(database, counters.CREDITS) == {("charge",): counters.MERGE_AT_ROWS + 200}


class TestHistogram:
    def test_sorts_observations_into_buckets(self, database: Database) -> None:
        with database.write() as db:
            for seconds in (1, 5, 7, 10**6):
                counters.RENDER_SECONDS.observe(db, seconds, tier="share", status="done")
        with database.read() as db:
            assert counters.RENDER_SECONDS.buckets(db) == {("share", "done"): {"5": 2, "10": 1, "+Inf": 1}}
            assert counters.RENDER_SECONDS.sums(db) == {("share", "done"): 13 + 10**6}

"""Counters are added up by the reaper, and come to the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from farm.db import counters
from farm.db.session import Database
from farm.db.tables import Tally

pytestmark = pytest.mark.on_both_databases

FRAMES = {"tier": "share", "engine": "cycles", "source": "drawn"}


def count(database: Database, times: int) -> None:
    with database.write() as db:
        for _ in range(times):
            counters.FRAMES.add(db, 2, **FRAMES)
            counters.CREDITS.add(db, 1, kind="charge")


def add_up(database: Database) -> None:
    with database.write() as db:
        counters.add_up(db)


def totals(database: Database) -> dict[str, dict[tuple[str, ...], float]]:
    with database.read() as db:
        return dict(counters.totals(db))


def rows(database: Database) -> int:
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(Tally)) or 0


def test_many_rows_become_one_a_counter(database: Database) -> None:
    count(database, counters.MOST_ROWS)
    add_up(database)
    assert rows(database) == 2
    assert totals(database) == {
        "plinth_frames": {("share", "cycles", "drawn"): 2 * counters.MOST_ROWS},
        "plinth_credits": {("charge",): counters.MOST_ROWS},
    }


def test_few_rows_are_left_alone(database: Database) -> None:
    count(database, 3)
    add_up(database)
    assert rows(database) == 6


def test_two_reapers_and_who_counts_meanwhile_lose_nothing(database: Database) -> None:
    count(database, counters.MOST_ROWS)
    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(add_up, database) for _ in range(2)]
        work += [pool.submit(count, database, 50) for _ in range(4)]
        for each in work:
            each.result()
    assert totals(database)["plinth_credits"] == {("charge",): counters.MOST_ROWS + 200}

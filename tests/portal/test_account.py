"""The page of an account: its usage by month and its ledger."""

import re
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from farm.accounts import credits
from farm.db.session import Database
from farm.db.tables import Account, LedgerEntry
from tests.support.clients import new_client
from tests.support.portal import Browser, set_password

pytestmark = pytest.mark.on_both_databases


@pytest.fixture
def page(public_api: TestClient, database: Database) -> str:
    """Of an account with 100 credits that has paid 4 and 16 in January, 16 of them refunded, and 1 in February."""
    account = new_client(database, "ada@example.com", credits=100).account
    set_password(database, account)
    moments = [
        datetime(2026, 1, 31, 23, 59, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    ]
    with database.write() as db:
        for render_id, price in {"a" * 12: 4, "b" * 12: 16, "c" * 12: 1}.items():
            credits.charge(db, account.id, {render_id: price})
        credits.refund(db, "b" * 12)
        for render_id, moment in zip("abc", moments, strict=True):
            for entry in db.query(LedgerEntry).filter_by(render_id=render_id * 12):
                entry.created_at = moment
        assert db.get_one(Account, account.id, populate_existing=True).credits == 95
    return Browser(public_api.app).logged_in(account.email).get("/portal/account").text


def test_shows_what_was_paid_by_month(page: str) -> None:
    months = re.findall(r'<td>(\d{4}-\d\d)</td><td class="end">(\d+)</td><td class="end">(\d+)</td>', page)
    assert months == [("2026-02", "1", "1"), ("2026-01", "1", "4")]


def test_shows_the_ledger(page: str) -> None:
    entries = re.findall(r'<td>(Granted|Paid|Refunded)</td>.*?<td class="end">([+-]\d+)</td>', page)
    assert sorted(entries) == [
        ("Granted", "+100"),
        ("Paid", "-1"),
        ("Paid", "-16"),
        ("Paid", "-4"),
        ("Refunded", "+16"),
    ]


def test_shows_the_credits_in_the_strip(page: str) -> None:
    assert "<strong>95</strong> credits" in page

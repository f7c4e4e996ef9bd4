"""The page of API keys: a key made there works in an HTTP client, is shown once, and ends when it is revoked."""

import re
from datetime import timedelta
from typing import Any

import pytest
from httpx import Response

from farm.accounts.accounts import PREFIX
from farm.db.session import Database
from farm.db.tables import Account, Key
from tests.support.api import count
from tests.support.clients import Client
from tests.support.portal import Browser

PAGE = "/portal/keys"
ALL = {"name": "Shop", "days": "", "access": "all"}
RAW = re.compile(rf"{PREFIX}\w+")


def created(browser: Browser, **fields: Any) -> str:
    """The raw key that the page shows."""
    response = browser.post(PAGE, {**ALL, **fields}, page=PAGE)
    assert response.status_code == 200, response.text
    return str(RAW.findall(response.text)[0])


def status(browser: Browser, key: str, path: str = "/v1/account") -> int:
    """The status of a call of the API with a key, without a cookie."""
    answer: Response = browser.client.get(path, headers={"Authorization": f"Bearer {key}", "Cookie": ""})
    return answer.status_code


def row_of(database: Database, name: str) -> Key:
    with database.read() as db:
        return db.query(Key).filter_by(name=name).order_by(Key.created_at).all()[0]


class TestKey:
    def test_works_and_is_shown_once(self, browser: Browser) -> None:
        key = created(browser)
        assert status(browser, key) == 200
        page = browser.get(PAGE).text
        assert PREFIX not in page
        assert "Shop" in page

    def test_comes_with_a_line_for_curl(self, browser: Browser) -> None:
        page = browser.post(PAGE, ALL, page=PAGE).text
        key = RAW.findall(page)[0]
        assert f"curl -H &#34;Authorization: Bearer {key}&#34; http://farm/v1/account" in page or (
            f'curl -H "Authorization: Bearer {key}" http://farm/v1/account' in page
        )

    def test_has_only_the_chosen_scopes(self, browser: Browser, database: Database) -> None:
        key = created(browser, name="Reader", access="some", scope=["renders:read", "models:read"])
        assert row_of(database, "Reader").scopes == ["models:read", "renders:read"]
        assert status(browser, key, "/v1/renders") == 200
        assert status(browser, key) == 403

    def test_expires(self, browser: Browser, database: Database) -> None:
        created(browser, name="Short", days="30")
        key = row_of(database, "Short")
        assert key.expires_at
        assert abs(key.expires_at - key.created_at - timedelta(days=30)) < timedelta(minutes=1)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": " "},
            {"name": "x" * 101},
            {"name": "a\x00b"},
            {"days": "31"},
            {"access": "some"},
            {"access": "some", "scope": "operator"},
        ],
    )
    def test_is_not_made_of_wrong_fields(self, browser: Browser, database: Database, wrong: dict[str, Any]) -> None:
        before = count(database, Key)
        response = browser.post(PAGE, ALL | wrong, page=PAGE)
        assert response.status_code == 422
        assert 'role="alert"' in response.text
        assert count(database, Key) == before

    def test_is_limited_in_number(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.portal.keys.MAX_VALID_KEYS", 2)
        created(browser)
        assert browser.post(PAGE, ALL, page=PAGE).status_code == 409

    def test_name_stays_text(self, browser: Browser) -> None:
        created(browser, name="<script>alert(1)</script>")
        page = browser.get(PAGE).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page

    def test_needs_a_form_of_this_site(self, browser: Browser, database: Database) -> None:
        before = count(database, Key)
        assert browser.client.post(PAGE, data=ALL).status_code == 403
        assert count(database, Key) == before


class TestRevoke:
    def test_ends_a_key_at_once(self, browser: Browser, database: Database) -> None:
        key = created(browser)
        path = f"{PAGE}/{row_of(database, 'Shop').id}/revoke"
        assert browser.post(path).status_code == 303
        assert status(browser, key) == 401
        assert browser.post(path).status_code == 401, "a second time"

    @pytest.mark.parametrize("action", ["revoke", "roll"])
    def test_does_not_reach_other_accounts(
        self, browser: Browser, other_browser: Browser, database: Database, action: str
    ) -> None:
        key = created(browser)
        path = f"{PAGE}/{row_of(database, 'Shop').id}/{action}"
        assert other_browser.post(path, {"overlap": "0"}).status_code == 401
        assert status(browser, key) == 200
        assert "Shop" not in other_browser.get(PAGE).text


class TestRoll:
    def test_replaces_a_key_with_an_overlap(self, browser: Browser, database: Database) -> None:
        old = created(browser, access="some", scope=["account:read"], days="90")
        row = row_of(database, "Shop")
        response = browser.post(f"{PAGE}/{row.id}/roll", {"overlap": "24"})
        new = RAW.findall(response.text)[0]
        assert [status(browser, key) for key in (old, new)] == [200, 200]
        with database.read() as db:
            first, second = db.query(Key).filter_by(name="Shop").order_by(Key.created_at).all()
        assert (second.scopes, second.expires_at) == (["account:read"], row.expires_at)
        assert first.expires_at
        assert abs((first.expires_at - second.created_at).total_seconds() - 24 * 3600) < 60

    def test_can_end_the_old_key_at_once(self, browser: Browser, database: Database) -> None:
        old = created(browser)
        response = browser.post(f"{PAGE}/{row_of(database, 'Shop').id}/roll", {"overlap": "0"})
        assert status(browser, old) == 401
        assert status(browser, RAW.findall(response.text)[0]) == 200

    def test_never_prolongs_a_key(self, browser: Browser, database: Database) -> None:
        created(browser, days="30")
        row = row_of(database, "Shop")
        browser.post(f"{PAGE}/{row.id}/roll", {"overlap": "168"})
        after = row_of(database, "Shop").expires_at
        assert after
        assert row.expires_at
        assert after < row.expires_at

    def test_needs_one_of_the_overlaps(self, browser: Browser, database: Database) -> None:
        created(browser)
        response = browser.post(f"{PAGE}/{row_of(database, 'Shop').id}/roll", {"overlap": "9999"})
        assert response.status_code == 422


def test_session_that_ended_meanwhile_makes_no_key(browser: Browser, client: Client, database: Database) -> None:
    token = browser.token(PAGE)
    with database.write() as db:
        account = db.get_one(Account, client.account.id)
        account.suspended_at = account.created_at
    before = count(database, Key)
    assert browser.client.post(PAGE, data={"token": token, **ALL}).status_code == 403
    assert count(database, Key) == before

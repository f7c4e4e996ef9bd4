"""Browsers in the portal, logged in and not: each keeps its cookie, and sends forms with the token of a page."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import event

from api.portal.visitors import COOKIE, FORM
from farm.accounts import passwords, sessions
from farm.db.session import Database
from farm.db.tables import Account
from tests.support.clients import Client

PASSWORD = "correct horse battery"
TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


class Browser:
    """Calls pages as a browser does, without following redirects. `at` is the scheme and host that it sees."""

    def __init__(self, app: Any, at: str = "http://farm") -> None:
        self.client = TestClient(app, at, follow_redirects=False, headers={"Accept": "text/html,*/*;q=0.8"})

    def get(self, path: str, **rest: Any) -> Response:
        response: Response = self.client.get(path, **rest)
        return response

    def token(self, path: str) -> str:
        """The token in the forms of a page."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return str(TOKEN.findall(response.text)[0])

    def post(self, path: str, fields: dict[str, Any] | None = None, *, page: str = "/portal/account") -> Response:
        """Send a form with the token of a page."""
        response: Response = self.client.post(path, data={"token": self.token(page), **(fields or {})})
        return response

    def post_slowly(
        self,
        path: str,
        fields: dict[str, Any],
        meanwhile: Callable[[], None],
        *,
        page: str = "/portal/account",
    ) -> Response:
        """Send a form with the token of a page, and call `meanwhile` when a part of it has been sent."""
        body = urlencode({"token": self.token(page), **fields}, doseq=True).encode()

        def parts() -> Iterator[bytes]:
            yield body[:10]
            meanwhile()
            yield body[10:]

        response: Response = self.client.post(path, content=parts(), headers={"Content-Type": FORM})
        return response

    def log_in(self, email: str, password: str = PASSWORD, next_page: str = "") -> Response:
        fields = {"email": email, "password": password, "next": next_page}
        return self.post("/portal/log-in", fields, page="/portal/log-in")

    def logged_in(self, email: str) -> "Browser":
        response = self.log_in(email)
        assert response.status_code == 303, response.text
        return self


@cache  # as each digest takes a tenth of a second
def digest_of(password: str) -> str:
    return passwords.digest(password)


def set_password(database: Database, account: Account, password: str = PASSWORD) -> None:
    digest = digest_of(password)
    with database.write() as db:
        sessions.change_password(db, account, digest)


def browser_of(app: Any, database: Database, account: Account) -> Browser:
    """A browser with a session of the account, as a log-in with PASSWORD leaves it."""
    set_password(database, account)
    with database.write() as db:
        token = sessions.start(db, account.id, digest_of(PASSWORD), "testclient")
    browser = Browser(app)
    browser.client.cookies.set(COOKIE, token, domain="farm.local")
    return browser


@pytest.fixture
def guest(public_api: TestClient) -> Browser:
    """A browser that is not logged in."""
    return Browser(public_api.app)


@pytest.fixture
def browser(public_api: TestClient, database: Database, client: Client) -> Browser:
    """A browser that is logged in to the account of `client`."""
    return browser_of(public_api.app, database, client.account)


@pytest.fixture
def other_browser(public_api: TestClient, database: Database, stranger: Client) -> Browser:
    """A browser that is logged in to another account."""
    return browser_of(public_api.app, database, stranger.account)


@contextmanager
def counted_statements(app: Any) -> Iterator[list[str]]:
    """The SQL statements of the calls within the block, without the check of the tables' version every few seconds."""
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = app.state.farm.database.engine
    event.listen(engine, "before_cursor_execute", record)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app.state.farm.version_check, "check", lambda: None)
            yield statements
    finally:
        event.remove(engine, "before_cursor_execute", record)

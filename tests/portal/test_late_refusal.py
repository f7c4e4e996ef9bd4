"""A session that ends while a form is on its way: the form changes nothing."""

from collections.abc import Callable

import pytest
from httpx import Response

from api.portal.routes import PARTS
from farm.db import sessions
from farm.db.accounts import keys_of
from farm.db.session import Database
from farm.db.tables import Model, Render, now
from farm.orders.render_settings import RenderSettings
from farm.scheduling import render_status, submit
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from tests.support.clients import Client
from tests.support.overlays import add_overlay
from tests.support.portal import PASSWORD, Browser
from tests.support.session_endings import ENDINGS, assert_ended, posts, rows

# Every form of the portal that changes something, with its fields.
FORMS: dict[str, dict[str, str]] = {
    "/account/password": {"old": PASSWORD, "new": "another long password"},
    "/account/sessions/{session}/end": {},
    "/keys": {"name": "Shop", "days": "", "access": "all"},
    "/keys/{key}/roll": {"overlap": "0"},
    "/keys/{key}/revoke": {},
    "/models/{model}": {"title": "Oak chair", "sku": "", "externalId": "", "tags": ""},
    "/models/{model}/archive": {},
    "/models/{archived}/unarchive": {},
    "/models/{model}/delete": {},
    "/overlays/{overlay}/delete": {},
    "/renders/new": {"model": "{model}"},
    "/renders/{render}/delete": {},
    "/renders/{failed}/dismiss": {},
    "/renders/{failed}/retry": {},
}
UPLOADS = {"/models", "/overlays"}  # the API's, with its tests of this
FOR_GUESTS = {"/log-in", "/sign-up", "/log-out"}


@pytest.fixture
def ids(
    browser: Browser,
    client: Client,
    model: Model,
    render: Render,
    database: Database,
    settings: Settings,
    doorbell: Doorbell,
) -> dict[str, str]:
    """The ids in the forms' paths and fields, of what the account owns."""
    assert browser
    overlay = add_overlay(database, client.account)
    with database.write() as db:
        fields = {"account_id": client.account.id, "original_name": "b.glb", "format": "glb", "file_size": 1}
        archived = Model(**fields, sha256="1" * 64, archived_at=now())
        db.add(archived)
        failed = submit.render(db, db.get_one(Model, model.id), RenderSettings(), settings, doorbell)
        render_status.advance(db, failed, "error", message="No memory")
        owned = {"model": model, "archived": archived, "render": render, "failed": failed}
        [owned["key"]], [owned["session"]] = keys_of(db, client.account), sessions.of_account(db, client.account.id)
        return {name: row.id for name, row in owned.items()} | {"overlay": overlay}


def send(browser: Browser, ids: dict[str, str], form: str, meanwhile: Callable[[], None]) -> Response:
    fields = {name: text.format(**ids) for name, text in FORMS[form].items()}
    return browser.post_slowly(f"/portal{form.format(**ids)}", fields, meanwhile)


def test_all_forms_are_tested() -> None:
    tested = [route.path for route in posts(PARTS) if any(route.path_regex.match(form) for form in FORMS)]
    assert {route.path for route in posts(PARTS)} == {*tested, *UPLOADS, *FOR_GUESTS}


@pytest.mark.parametrize("form", FORMS)
class TestForm:
    def test_changes_something(self, browser: Browser, database: Database, ids: dict[str, str], form: str) -> None:
        before = rows(database)
        response = send(browser, ids, form, lambda: None)
        assert response.status_code in (200, 303), response.text
        assert rows(database) != before

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_changes_nothing_once_the_session_is_over(
        self, browser: Browser, client: Client, database: Database, ids: dict[str, str], form: str, ending: str
    ) -> None:
        before = {}

        def end() -> None:
            ENDINGS[ending].happen(database, client.account)
            before.update(rows(database))

        assert_ended(send(browser, ids, form, end), ENDINGS[ending])
        assert rows(database) == before

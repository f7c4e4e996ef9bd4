"""An operator's account that loses its admin rights while a form is on its way: the form changes nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from httpx import Response

from api.operator.routes import PARTS
from farm.db.accounts import keys_of
from farm.db.session import Database
from farm.db.tables import Account, Node, Render, now
from farm.nodes import registry
from farm.nodes.facts import Facts
from tests.support.clients import Client
from tests.support.overlays import add_overlay
from tests.support.portal import Browser
from tests.support.session_endings import ENDINGS, Ending, assert_ended, posts, rows

# Every form of the operator's pages with its fields, and the form that comes before it, if any.
FORMS: dict[str, tuple[dict[str, str], str | None]] = {
    "/nodes/box/drain": ({}, None),
    "/nodes/box/resume": ({}, "/nodes/box/drain"),
    "/nodes/gone/forget": ({}, None),
    "/renders/{render}/cancel": ({}, None),
    "/renders/{render}/retry": ({}, "/renders/{render}/cancel"),
    "/renders/{render}/priority": ({}, None),
    "/accounts/{account}/suspend": ({}, None),
    "/accounts/{account}/resume": ({}, "/accounts/{account}/suspend"),
    "/accounts/{account}/grant": ({"credits": "25"}, None),
    "/accounts/{account}/take": ({"credits": "5"}, None),
    "/accounts/{account}/erase": ({"email": "ada@example.com"}, None),
    "/accounts/{account}/keys/{key}/revoke": ({}, None),
    "/overlays/{overlay}/publish": ({}, None),
    "/overlays/{overlay}/unpublish": ({}, "/overlays/{overlay}/publish"),
}


def take_rights(database: Database, account: Account) -> None:
    with database.write() as db:
        db.get_one(Account, account.id).is_admin = False


NO_ADMIN = Ending(take_rights, 403)


@pytest.fixture
def ids(admin: Account, client: Client, node: str, gpu: Facts, render: Render, database: Database) -> dict[str, str]:
    """The ids in the forms' paths."""
    assert node
    registry.join(database, replace(gpu, name="gone"))
    overlay = add_overlay(database, admin)
    with database.write() as db:
        db.query(Node).filter_by(name="gone").one().stopped_at = now()
        [key] = keys_of(db, client.account)
        return {"account": client.account.id, "key": key.id, "render": render.id, "overlay": overlay}


def send(operator: Browser, ids: dict[str, str], form: str, meanwhile: Callable[[], None]) -> Response:
    fields, earlier = FORMS[form]
    if earlier:
        assert operator.post(f"/operator{earlier.format(**ids)}", FORMS[earlier][0]).status_code == 303
    return operator.post_slowly(f"/operator{form.format(**ids)}", fields, meanwhile)


def assert_changes_nothing(
    operator: Browser, admin: Account, database: Database, ids: dict[str, str], form: str, ending: Ending
) -> None:
    before = {}

    def end() -> None:
        ending.happen(database, admin)
        before.update(rows(database))

    assert_ended(send(operator, ids, form, end), ending)
    assert rows(database) == before


def test_all_forms_are_tested() -> None:
    for route in posts(PARTS):
        assert any(route.path_regex.match(form) for form in FORMS), route.path


@pytest.mark.parametrize("form", FORMS)
class TestForm:
    def test_changes_something(self, operator: Browser, database: Database, ids: dict[str, str], form: str) -> None:
        before = {}
        response = send(operator, ids, form, lambda: before.update(rows(database)))
        assert response.status_code == 303, response.text
        assert rows(database) != before

    @pytest.mark.on_both_databases
    def test_changes_nothing_once_the_account_is_no_admin(
        self, operator: Browser, admin: Account, database: Database, ids: dict[str, str], form: str
    ) -> None:
        assert_changes_nothing(operator, admin, database, ids, form, NO_ADMIN)


@pytest.mark.parametrize("ending", ENDINGS)
def test_form_changes_nothing_once_the_session_is_over(
    operator: Browser, admin: Account, database: Database, ids: dict[str, str], ending: str
) -> None:
    assert_changes_nothing(operator, admin, database, ids, "/renders/{render}/cancel", ENDINGS[ending])

"""The page of overlays: uploads with an anchor, pictures, deletion, and what other accounts see of it: nothing."""

import re

import pytest
from httpx import Response

from api.portal.visitors import TOKEN_HEADER
from farm.db.session import Database
from farm.db.tables import Overlay
from tests.intake.scans import picture
from tests.support.api import count
from tests.support.portal import Browser

PAGE = "/portal/overlays"
SCRIPT = "<script>alert(1)</script>"


def send(browser: Browser, content: bytes, **fields: str) -> Response:
    """Upload a picture as htmx does."""
    headers = {TOKEN_HEADER: browser.token("/portal/account"), "HX-Request": "true"}
    response: Response = browser.client.post(PAGE, files={"file": ("a.png", content)}, data=fields, headers=headers)
    return response


@pytest.fixture
def overlay_id(browser: Browser, database: Database) -> str:
    fields = {"layer": "foreground", "alignment": "bottom-right", "name": SCRIPT, "description": SCRIPT}
    response = send(browser, picture("PNG"), **fields)
    assert (response.status_code, response.headers["hx-redirect"]) == (204, PAGE)
    with database.read() as db:
        return db.query(Overlay).one().id


def test_shows_an_overlay_in_every_aspect_with_its_anchor(browser: Browser, overlay_id: str) -> None:
    page = browser.get(PAGE).text
    assert 'data-anchor="bottom-right"' in page
    for aspect in ("16:9", "1:1", "9:16"):
        assert re.search(rf'data-aspect="{aspect}"><img src="{PAGE}/{overlay_id}/file"', page)
    assert browser.get(f"{PAGE}/{overlay_id}/file").headers["content-type"].startswith("image/")


def test_keeps_names_as_text(browser: Browser, overlay_id: str) -> None:
    for path in (PAGE, "/portal/renders/new"):
        page = browser.get(path).text
        assert "&lt;script&gt;" in page
        assert SCRIPT not in page
    assert overlay_id in page, "the order form offers it"


def test_explains_what_is_wrong_with_a_picture(browser: Browser, database: Database) -> None:
    response = send(browser, b"nonsense")
    assert response.status_code == 400
    assert 'role="alert"' in response.text
    assert "<html" not in response.text
    assert count(database, Overlay) == 0


def test_needs_the_token_of_the_page(browser: Browser, database: Database) -> None:
    assert browser.client.post(PAGE, files={"file": ("a.png", picture("PNG"))}).status_code == 403
    assert count(database, Overlay) == 0


def test_is_deleted(browser: Browser, overlay_id: str) -> None:
    assert browser.post(f"{PAGE}/{overlay_id}/delete").status_code == 303
    assert overlay_id not in browser.get(PAGE).text


def test_is_not_found_by_other_accounts(browser: Browser, other_browser: Browser, overlay_id: str) -> None:
    assert other_browser.get(f"{PAGE}/{overlay_id}/file").status_code == 404
    assert other_browser.post(f"{PAGE}/{overlay_id}/delete").status_code == 404
    assert overlay_id not in other_browser.get(PAGE).text
    assert overlay_id in browser.get(PAGE).text


def test_of_the_farm_can_be_seen_but_not_deleted(other_browser: Browser, overlay_id: str, database: Database) -> None:
    with database.write() as db:
        db.get_one(Overlay, overlay_id).published = True
    assert "From the farm" in other_browser.get(PAGE).text
    assert other_browser.get(f"{PAGE}/{overlay_id}/file").status_code == 200
    assert other_browser.post(f"{PAGE}/{overlay_id}/delete").status_code == 404

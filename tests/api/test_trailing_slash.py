"""Paths of pages with a slash at their end lead to the page; calls of the API have no such path."""

import pytest

from api.trailing_slash import PAGES
from tests.support.api import assert_error
from tests.support.portal import Browser


@pytest.mark.parametrize("page", PAGES)
def test_leads_to_the_page(guest: Browser, page: str) -> None:
    for path in (f"/{page}/", f"/{page}//"):
        response = guest.get(path)
        assert (response.status_code, response.headers["location"]) == (307, f"/{page}")
    assert guest.get(f"/{page}").status_code in (200, 303)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/guides/client/", "/guides/client"),
        ("/guides/decisions/sets/", "/guides/decisions/sets"),
        ("/portal/renders/?q=a%20b&status=done", "/portal/renders?q=a%20b&status=done"),
        ("/operator/accounts/Xz7pQ4w8nR2k/", "/operator/accounts/Xz7pQ4w8nR2k"),
        ("/docs/start.js/", "/docs/start.js"),
    ],
)
def test_leads_to_every_page_below(guest: Browser, path: str, location: str) -> None:
    response = guest.get(path)
    assert (response.status_code, response.headers["location"]) == (307, location)


@pytest.mark.parametrize("path", ["/portal///else.example/", "/portal/%3F%23%25/", "/portal/é/", "/portal/x/%0A"])
def test_leads_nowhere_else(guest: Browser, path: str) -> None:
    response = guest.get(path)
    location = response.headers["location"]
    assert location.startswith("/portal/")
    assert location != path
    assert location.isascii()
    assert location.isprintable()
    assert not set("?#") & set(location)


@pytest.mark.parametrize(
    "path", ["/v1/", "/v1/renders/", "/v1/health/", "/metrics/", "/else.example/", "//else.example/"]
)
def test_of_a_call_is_not_found(guest: Browser, path: str) -> None:
    assert_error(guest.client.get(f"http://farm{path}"), "not_found", 404)


def test_takes_no_form(browser: Browser) -> None:
    assert browser.post("/portal/keys/").status_code == 405

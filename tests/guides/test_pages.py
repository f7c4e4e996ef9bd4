"""The pages under /guides: each renders, and all that it links to or loads is served by the farm."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest

from api.guides import contents
from api.guides.endpoints import render
from tests.portal.test_static_files import MAX_FIRST_PAGE_BYTES
from tests.support.portal import Browser
from tests.test_docs import DOCS, ROOT

PAGES = ["/guides", *(guide.url for guide in contents.guides().values())]


def text_of(guest: Browser, path: str) -> str:
    response = guest.get(path)
    assert response.status_code == 200, path
    return str(response.text)


def loaded(page: str) -> list[str]:
    """The URLs that a browser loads with a page."""
    return [
        unescape(url) for url in re.findall(r'<(?:img|script|link|video|source)[^>]*? (?:src|href)="([^"]*)"', page)
    ]


def linked(page: str) -> list[str]:
    return [unescape(url) for url in re.findall(r'<a [^>]*?href="([^"]*)"', page)]


def test_all_pages_of_the_documentation_are_guides() -> None:
    served = {guide.file for guide in contents.guides().values()}
    expected = {*DOCS.rglob("*.md"), ROOT / "blender_scenes" / "README.md", ROOT / "clients" / "python" / "README.md"}
    assert served == expected


@pytest.mark.parametrize("path", PAGES)
class TestPages:
    def test_load_only_files_of_the_farm(self, guest: Browser, path: str) -> None:
        urls = loaded(text_of(guest, path))
        assert urls
        for url in urls:
            assert url.startswith("/"), url
            assert not url.startswith("//"), url
            assert guest.get(url).status_code == 200, url

    def test_link_only_to_what_the_farm_serves(self, guest: Browser, path: str) -> None:
        for target in linked(text_of(guest, path)):
            if re.match(r"[a-z]+:", target):
                continue
            url, _, fragment = urljoin(path, target).partition("#")
            response = guest.get(url)
            assert response.status_code in (200, 303), target
            assert not fragment or f'id="{fragment}"' in response.text, target

    def test_have_no_script_and_no_style_of_their_own(self, guest: Browser, path: str) -> None:
        page = text_of(guest, path)
        assert "<script" not in page
        assert "<style" not in page
        assert re.findall(r"<[^>]* (?:style|on\w+)=", page) == []
        policy = guest.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy

    def test_are_small(self, guest: Browser, path: str) -> None:
        """Without pictures, which load after the text."""
        urls = [path, *(url for url in loaded(text_of(guest, path)) if "/guides/pictures/" not in url)]
        sizes = {url: int(guest.get(url).headers["content-length"]) for url in urls}
        assert sum(sizes.values()) < MAX_FIRST_PAGE_BYTES, sizes


def test_show_every_picture_of_their_file(guest: Browser) -> None:
    for guide in contents.guides().values():
        written = re.findall(r"!\[.*?\]\(.*?\)", re.sub(r"`.*?`", "", guide.file.read_text()))
        assert len(re.findall(r"<img [^>]*src=\"/guides/pictures/", text_of(guest, guide.url))) == len(written)


def test_have_the_fragments_that_github_makes(guest: Browser) -> None:
    headings = {heading.fragment for heading in render(contents.guides()["client"]).headings}
    assert {"1-upload", "render-settings", "from-nodejs"} <= headings
    assert 'id="render-settings"' in text_of(guest, "/guides/client")


def test_lead_to_each_other_instead_of_to_files(guest: Browser) -> None:
    page = text_of(guest, "/guides/decisions/sets")
    assert not [target for target in linked(page) if target.endswith(".md") or ".md#" in target]
    assert "/guides/performance#what-dominates" in linked(text_of(guest, "/guides/decisions/shadow-baked-once"))


def test_turn_links_to_files_that_are_not_served_into_text(guest: Browser) -> None:
    assert "](../farm/settings.py)" in (DOCS / "settings.md").read_text()
    page = text_of(guest, "/guides/settings")
    assert "farm/settings.py" in page
    assert not [target for target in linked(page) if target.endswith(".py")]


@pytest.mark.parametrize("group", contents.groups())
def test_mark_the_page_that_is_open(guest: Browser, group: str) -> None:
    for guide in contents.groups()[group]:
        current = re.findall(r'href="(/guides/[^"]*)" aria-current="page"', text_of(guest, guide.url))
        assert set(current) == {guide.url}


class TestUnknown:
    @pytest.mark.parametrize(
        "path",
        [
            "/guides/nothing",
            "/guides/%2e%2e/%2e%2e/pyproject.toml",
            "/guides/..%2f..%2fpyproject.toml",
            "/guides/client.md",
            "/guides/docs/client.md",
            "/guides/decisions/%2e%2e/client",
            "/guides/%00",
            "/guides/pictures/%2e%2e/client.md",
            "/guides/pictures/000000000000/product.png",
            "/guides/pictures/%2e%2e%2f%2e%2e%2ffarm%2fsettings.py",
        ],
    )
    def test_is_not_found(self, guest: Browser, path: str) -> None:
        response = guest.get(path)  # it would resolve dots that are not escaped
        assert response.status_code == 404
        assert "Traceback" not in response.text

    def test_is_shown_as_text(self, guest: Browser) -> None:
        response = guest.get("/guides/<script>alert(1)</script>")
        assert response.status_code == 404
        assert "<script>alert" not in response.text
        assert "&lt;script&gt;alert(1)" in response.text


class TestCaching:
    def test_asks_again_for_a_page(self, guest: Browser) -> None:
        first = guest.get("/guides/client")
        assert first.headers["cache-control"] == "no-cache"
        again = guest.get("/guides/client", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    def test_keeps_a_picture_for_ever(self, guest: Browser) -> None:
        [url, *_] = [url for url in loaded(text_of(guest, "/guides/camera-paths")) if url.endswith(".png")]
        response = guest.get(url)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["content-type"] == "image/png"
        assert response.content == (DOCS / "pictures" / "camera-paths" / Path(url).name).read_bytes()


def test_need_neither_database_nor_redis(guest: Browser) -> None:
    app = guest.client.app
    app.state.farm.database.close()  # type: ignore[attr-defined]
    assert guest.get("/guides/troubleshoot").status_code == 200

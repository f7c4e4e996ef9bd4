"""Style sheets, scripts and the typeface: served by the farm, for ever, small, with their licences."""

import re

import pytest

from api.portal import static_files
from tests.support.portal import Browser

MAX_FIRST_PAGE_BYTES = 100_000


def loaded(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="(/portal/static/[^"]*)"', page)


class TestFiles:
    @pytest.mark.parametrize("name", sorted(static_files.files()))
    def test_never_change(self, guest: Browser, name: str) -> None:
        response = guest.get(static_files.url(name))
        assert response.content == static_files.files()[name].content
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"

    @pytest.mark.parametrize(
        "path", ["000000000000/portal.css", "VERSION/x.css", "VERSION/README.md", "VERSION/licences"]
    )
    def test_that_do_not_exist_are_not_found(self, guest: Browser, path: str) -> None:
        assert guest.get(f"/portal/static/{path.replace('VERSION', static_files.version())}").status_code == 404

    def test_of_others_have_their_versions_and_licences(self) -> None:
        table = (static_files.FOLDER / "README.md").read_text()
        for line in re.findall(r"^\| `.*$", table, re.MULTILINE):
            name, _, version, licence = [cell.strip() for cell in line.strip("|").split("|")]
            assert (static_files.FOLDER / name.strip("`")).is_file()
            assert re.fullmatch(r"\d+\.\d+\.\d+", version)
            assert (static_files.FOLDER / re.findall("`(.*)`", licence)[0]).is_file()
        assert len(re.findall(r"^\| `", table, re.MULTILINE)) == 5

    @pytest.mark.parametrize(
        "name", ["portal.css", "operator.css", "guides.css", "portal.js", "upload.js", "viewer.js"]
    )
    def test_of_ours_name_no_other_host(self, name: str) -> None:
        assert b"//" not in re.sub(rb"^\s*// .*$", b"", static_files.files()[name].content, flags=re.MULTILINE)


def test_first_page_is_small(browser: Browser) -> None:
    page = browser.get("/portal/renders")
    paths = {*loaded(page.text), static_files.url("hanken-grotesk.woff2"), static_files.url("chevron.svg")}
    assert static_files.url("model-viewer.min.js") not in paths
    sizes = {path: int(browser.get(path).headers["content-length"]) for path in paths}
    assert len(page.content) + sum(sizes.values()) < MAX_FIRST_PAGE_BYTES, sizes

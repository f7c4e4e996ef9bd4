"""The gallery and the page of a render: filters, live status, files, changes, other accounts."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Model, Render
from farm.scheduling import render_status
from tests.support.api import count, uploaded
from tests.support.clients import Client
from tests.support.finished_renders import Finish
from tests.support.portal import Browser, counted_statements

SCRIPT = "<script>alert(1)</script>"
CARD = re.compile(r'id="render-(\w+)"')


@pytest.fixture
def render_id(client: Client, public_api: TestClient) -> str:
    """A waiting render of an uploaded model, by the API."""
    public_api.headers.update(client.headers)
    found = str(uploaded(public_api)["renderId"])
    del public_api.headers["Authorization"]
    return found


@pytest.fixture
def finished_id(render_id: str, finished: Finish) -> str:
    finished(render_id)
    return render_id


@pytest.fixture
def failed_id(render_id: str, database: Database) -> str:
    with database.write() as db:
        render_status.advance(db, db.get_one(Render, render_id), "error", message=f"It has {SCRIPT}")
    return render_id


def cards(browser: Browser, query: str = "") -> list[str]:
    """The renders that the gallery shows."""
    response = browser.get(f"/portal/renders{query}")
    assert response.status_code == 200, response.text
    return CARD.findall(response.text)


def ordered(database: Database, render_id: str, **settings: Any) -> str:
    """Another render, of a model of its own, like one that exists."""
    with database.write() as db:
        first = db.get_one(Render, render_id)
        model = Model(
            account_id=first.account_id,
            original_name="b.glb",
            format="glb",
            file_size=1,
            sha256=f"{count(database, Model):064}",
        )
        db.add(model)
        db.flush()
        render = Render(
            account_id=first.account_id,
            model_id=model.id,
            shot_id=first.shot_id,
            settings=first.settings | settings,
        )
        db.add(render)
        db.flush()
        return render.id


@pytest.mark.on_both_databases
class TestGallery:
    def test_shows_renders_without_previews(self, browser: Browser, render_id: str) -> None:
        assert cards(browser) == [render_id]

    def test_is_empty_at_first(self, browser: Browser) -> None:
        assert "No renders yet" in browser.get("/portal/renders").text

    def test_shows_no_render_of_another_account(self, other_browser: Browser, render_id: str) -> None:
        assert render_id
        assert cards(other_browser) == []

    def test_filters(self, browser: Browser, render_id: str, database: Database) -> None:
        other = ordered(database, render_id, effect="hero-spin", quality="4k")
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, other), "error", message="x")
        for query, found in {
            "status=progress": [render_id],
            "status=error": [other],
            "status=done": [],
            "effect=hero-spin": [other],
            "quality=4k": [other],
            "quality=share": [render_id],
            "q=B.GLB": [other],
            "q=chair": [render_id],
            "sort=createdAt": [render_id, other],
            "sort=-createdAt": [other, render_id],
        }.items():
            assert cards(browser, f"?{query}") == found, query

    def test_filters_by_tag(self, browser: Browser, render_id: str, database: Database) -> None:
        ordered(database, render_id)
        with database.read() as db:
            model_id = db.get_one(Render, render_id).model_id
        browser.post(f"/portal/models/{model_id}", {"tags": "Oak, chairs"}, page=f"/portal/models/{model_id}")
        assert cards(browser, "?tag=oak") == [render_id]

    @pytest.mark.parametrize(
        "query",
        [
            "status=x&effect=x&quality=x&sort=x",
            "offset=-1",
            "offset=x",
            "offset=99999999999999999999",
            "q=%00%ff",
            "tag=%00",
        ],
    )
    def test_takes_any_query(self, browser: Browser, query: str) -> None:
        cards(browser, f"?{query}")

    def test_has_pages(
        self, browser: Browser, render_id: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.portal.renders.PAGE_SIZE", 1)
        newest = ordered(database, render_id)
        assert cards(browser) == [newest]
        page = browser.get("/portal/renders?effect=turntable").text
        [following] = re.findall(r'rel="next" href="([^"]*)"', page)
        assert cards(browser, following.replace("&amp;", "&").removeprefix("/portal/renders")) == [render_id]

    def test_keeps_strings_as_text(self, browser: Browser, render_id: str, database: Database) -> None:
        with database.write() as db:
            model = db.get_one(Model, db.get_one(Render, render_id).model_id)
            model.title, model.original_name = SCRIPT, f"{SCRIPT}.glb"
        for path in ("/portal/renders", f"/portal/renders/{render_id}", "/portal/models", f"/portal/models/{model.id}"):
            page = browser.get(path).text
            assert SCRIPT not in page
            assert "&lt;script&gt;" in page
        assert SCRIPT not in browser.get("/portal/renders", params={"q": f'">{SCRIPT}'}).text

    def test_reads_the_database_as_often_for_many_renders(
        self, browser: Browser, render_id: str, database: Database
    ) -> None:
        paths = ["/portal/renders", "/portal/models", f"/portal/renders/status?ids={render_id}"]
        numbers = []
        for _ in range(2):
            with counted_statements(browser.client.app) as statements:
                for path in paths:
                    browser.get(path)
            numbers.append(len(statements))
            ids = [ordered(database, render_id) for _ in range(20 if not numbers[1:] else 0)]
            paths[2] = f"/portal/renders/status?ids={','.join([render_id, *ids])}"
        assert numbers[0] == numbers[1]
        assert numbers[0] <= 24


class TestStatus:
    def test_is_polled_in_one_request_for_all(self, browser: Browser, render_id: str, database: Database) -> None:
        other = ordered(database, render_id)
        page = browser.get("/portal/renders").text
        [path] = re.findall(r'hx-get="([^"]*)"', page)
        assert set(path.partition("=")[2].split(",")) == {render_id, other}
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, other), "error", message="x")
        answer = browser.get(path).text
        assert set(CARD.findall(answer)) == {render_id, other}
        assert answer.count('hx-swap-oob="true"') == 2
        [path] = re.findall(r'hx-get="([^"]*)"', answer)
        assert path.endswith(f"ids={render_id}"), "only what is still under way"

    def test_ends_when_all_are_over(self, browser: Browser, failed_id: str) -> None:
        assert "hx-get" not in browser.get(f"/portal/renders/status?ids={failed_id}").text

    def test_tells_nothing_of_other_accounts(self, other_browser: Browser, render_id: str) -> None:
        answer = other_browser.get(f"/portal/renders/status?ids={render_id},x,").text
        assert render_id not in answer


class TestRender:
    def test_has_its_files_with_sizes(self, browser: Browser, finished_id: str) -> None:
        page = browser.get(f"/portal/renders/{finished_id}").text
        assert f'src="/portal/renders/{finished_id}/files/video"' in page
        assert "MP4 · 10 kB" in page

    @pytest.mark.parametrize("kind", ["video", "thumb", "poster", "poster-full", "thumb-still"])
    def test_sends_files_and_parts_of_them(self, browser: Browser, render_id: str, finished: Finish, kind: str) -> None:
        content = finished(render_id)[kind]
        path = f"/portal/renders/{render_id}/files/{kind}"
        whole = browser.get(path)
        assert whole.content == content
        assert whole.headers["content-disposition"].startswith("inline")
        assert whole.headers["cross-origin-resource-policy"] == "same-origin"
        part = browser.get(f"{path}?download", headers={"Range": "bytes=2-5"})
        assert (part.status_code, part.content) == (206, content[2:6])
        assert part.headers["content-disposition"].startswith("attachment")

    def test_sends_all_as_a_zip(self, browser: Browser, finished_id: str) -> None:
        response = browser.get(f"/portal/renders/{finished_id}/bundle")
        assert response.headers["content-type"] == "application/zip"

    def test_polls_itself_until_it_is_over(self, browser: Browser, render_id: str, finished: Finish) -> None:
        path = f"/portal/renders/{render_id}"
        assert f'hx-get="{path}"' in browser.get(path).text
        finished(render_id)
        part = browser.get(path, headers={"HX-Request": "true"}).text
        assert "<html" not in part
        assert "hx-get" not in part

    def test_can_be_deleted(self, browser: Browser, render_id: str, database: Database) -> None:
        assert browser.post(f"/portal/renders/{render_id}/delete").status_code == 303
        assert browser.get(f"/portal/renders/{render_id}").status_code == 404
        with database.read() as db:
            assert db.get(Render, render_id) is None

    def test_that_failed_can_be_dismissed(self, browser: Browser, failed_id: str) -> None:
        page = browser.get(f"/portal/renders/{failed_id}").text
        assert "It has &lt;script&gt;" in page
        assert browser.post(f"/portal/renders/{failed_id}/dismiss").status_code == 303
        assert "Dismissed" in browser.get(f"/portal/renders/{failed_id}").text

    def test_that_failed_can_be_retried(self, browser: Browser, failed_id: str) -> None:
        assert browser.post(f"/portal/renders/{failed_id}/retry").status_code == 303
        assert "Waiting" in browser.get(f"/portal/renders/{failed_id}").text
        assert browser.post(f"/portal/renders/{failed_id}/retry").status_code == 409

    def test_that_waits_cannot_be_dismissed(self, browser: Browser, render_id: str) -> None:
        response = browser.post(f"/portal/renders/{render_id}/dismiss")
        assert response.status_code == 409
        assert 'role="alert"' in response.text

    @pytest.mark.parametrize("action", ["", "/files/video", "/files/thumb-still", "/bundle"])
    def test_is_not_found_by_other_accounts(self, other_browser: Browser, finished_id: str, action: str) -> None:
        assert other_browser.get(f"/portal/renders/{finished_id}{action}").status_code == 404

    @pytest.mark.parametrize("action", ["delete", "dismiss", "retry"])
    def test_is_not_changed_by_other_accounts_and_sites(
        self, browser: Browser, other_browser: Browser, failed_id: str, action: str
    ) -> None:
        path = f"/portal/renders/{failed_id}/{action}"
        assert other_browser.post(path).status_code == 404
        assert browser.client.post(path).status_code == 403
        assert "Failed" in browser.get(f"/portal/renders/{failed_id}").text

    @pytest.mark.parametrize("path", ["", "/files/video", "/files/x", "/bundle"])
    def test_that_does_not_exist_is_not_found(self, browser: Browser, path: str) -> None:
        for render_id in ("Xz7pQ4w8nR2k", "x", "%00"):
            assert browser.get(f"/portal/renders/{render_id}{path}").status_code == 404

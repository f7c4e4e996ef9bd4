"""Pages of models: upload, fields, archive, delete, and what other accounts see of it: nothing."""

import re

import pytest
from httpx import Response

from api.portal import static_files
from api.portal.visitors import TOKEN_HEADER
from farm.db.session import Database
from farm.db.tables import BrowserSession, Model, Render
from tests.intake.scans import picture
from tests.support.api import count
from tests.support.glb import glb
from tests.support.portal import Browser

PAGE = "/portal/models"


def send(browser: Browser, content: bytes, name: str = "chair.glb", token: str | None = None) -> Response:
    """Upload a file as the page's script does."""
    headers = {TOKEN_HEADER: token or browser.token("/portal/account")}
    response: Response = browser.client.post(PAGE, files={"file": (name, content)}, headers=headers)
    return response


@pytest.fixture
def model_id(browser: Browser) -> str:
    response = send(browser, glb())
    assert response.status_code == 200, response.text
    return str(re.findall(r"/portal/models/(\w{12})/file", response.text)[0])


class TestUpload:
    def test_shows_the_model_and_its_preview(self, browser: Browser, model_id: str, database: Database) -> None:
        with database.read() as db:
            [preview] = db.query(Render).filter_by(model_id=model_id, is_system_preview=True)
            assert db.query(Render).filter_by(model_id=model_id).count() == 2
        assert browser.get(f"{PAGE}/{model_id}/file").content == glb()
        page = send(browser, glb()).text
        assert f'id="render-{preview.id}"' in page
        assert f"/portal/renders/status?ids={preview.id}" in page
        assert "<html" not in page

    @pytest.mark.parametrize(
        ("content", "name"), [(b"glTF", "a.glb"), (glb()[:-10], "a.glb"), (picture("PNG"), "a.png")]
    )
    def test_explains_what_is_wrong_with_a_file(
        self, browser: Browser, database: Database, content: bytes, name: str
    ) -> None:
        response = send(browser, content, name)
        assert response.status_code == 400
        assert re.search(r'<p class="message bad" role="alert">[^<]{10,}</p>', response.text)
        assert "<html" not in response.text
        assert count(database, Model) == 0

    def test_needs_the_token_of_the_page(self, browser: Browser, other_browser: Browser, database: Database) -> None:
        assert send(browser, glb(), token="0" * 64).status_code == 403
        assert send(browser, glb(), token=other_browser.token("/portal/account")).status_code == 403
        fields = {"token": browser.token("/portal/account")}
        assert browser.client.post(PAGE, files={"file": ("a.glb", glb())}, data=fields).status_code == 403
        assert count(database, Model) == 0

    def test_of_a_session_that_has_ended_stores_nothing(self, browser: Browser, database: Database) -> None:
        token = browser.token("/portal/account")
        with database.write() as db:
            db.query(BrowserSession).delete()
        response = send(browser, glb(), token=token)
        assert (response.status_code, response.headers["hx-redirect"]) == (401, "/portal/log-in")
        assert count(database, Model) == 0

    def test_keeps_a_file_name_as_text(self, browser: Browser) -> None:
        response = send(browser, glb(), "<script>alert(1)<script>.glb")
        assert response.status_code == 200
        assert "<script>" not in response.text


class TestModel:
    def test_fields_are_changed(self, browser: Browser, model_id: str, database: Database) -> None:
        fields = {"title": "Oak chair", "sku": "OC-1", "externalId": "4711", "tags": "Oak, chair,"}
        page = f"{PAGE}/{model_id}"
        assert browser.post(page, fields, page=page).status_code == 303
        with database.read() as db:
            model = db.get_one(Model, model_id)
            assert (model.title, model.sku, model.external_id) == ("Oak chair", "OC-1", "4711")
            assert [tag.tag for tag in model.tags] == ["oak", "chair"]
        assert "Oak chair" in browser.get(PAGE).text

    def test_wrong_fields_are_explained(self, browser: Browser, model_id: str, database: Database) -> None:
        response = browser.post(f"{PAGE}/{model_id}", {"title": "x" * 256})
        assert response.status_code == 422
        assert "title must have at most 255 characters" in response.text
        with database.read() as db:
            assert db.get_one(Model, model_id).title is None

    def test_is_archived_and_shown_again(self, browser: Browser, model_id: str) -> None:
        browser.post(f"{PAGE}/{model_id}/archive")
        assert f"{PAGE}/{model_id}" not in browser.get(PAGE).text
        assert f"{PAGE}/{model_id}" in browser.get(f"{PAGE}?archived=1").text
        browser.post(f"{PAGE}/{model_id}/unarchive")
        assert f"{PAGE}/{model_id}" in browser.get(PAGE).text

    def test_is_deleted(self, browser: Browser, model_id: str) -> None:
        assert browser.post(f"{PAGE}/{model_id}/delete").status_code == 303
        assert browser.get(f"{PAGE}/{model_id}").status_code == 404

    @pytest.mark.parametrize("action", ["", "/archive", "/unarchive", "/delete"])
    def test_is_not_found_by_other_accounts(self, other_browser: Browser, model_id: str, action: str) -> None:
        assert other_browser.post(f"{PAGE}/{model_id}{action}", {"title": "x"}).status_code == 404
        assert other_browser.get(f"{PAGE}/{model_id}").status_code == 404
        assert other_browser.get(f"{PAGE}/{model_id}/file").status_code == 404
        assert model_id not in other_browser.get(PAGE).text

    def test_is_shown_by_a_script_without_unsafe_inline(self, browser: Browser, model_id: str) -> None:
        policy = browser.get(f"{PAGE}/{model_id}").headers["content-security-policy"]
        assert "'unsafe-inline'" not in policy
        assert "'unsafe-eval'" not in policy


@pytest.mark.parametrize("path", ["/portal/models", "/portal/models/MODEL"])
def test_viewer_decodes_draco_with_files_of_the_farm(browser: Browser, path: str, model_id: str) -> None:
    page = browser.get(path.replace("MODEL", model_id))
    assert "script-src 'self' 'wasm-unsafe-eval';" in page.headers["content-security-policy"]
    assert "worker-src blob:;" in page.headers["content-security-policy"]
    assert page.text.index("/viewer.js") < page.text.index("/model-viewer.min.js")
    location = static_files.url("viewer.js").removesuffix("viewer.js")
    for name, media_type in {
        "draco_decoder.wasm": "application/wasm",
        "draco_wasm_wrapper.js": "text/javascript",
    }.items():
        assert f'"{name}"'.encode() in static_files.files()["model-viewer.min.js"].content
        assert browser.get(location + name).headers["content-type"].startswith(media_type)

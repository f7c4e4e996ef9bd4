"""Overlays over HTTP."""

import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image
from redis import Redis

from farm.db import overlays
from farm.db.session import Database
from farm.db.tables import Account
from farm.errors import OverlayNotFound
from farm.settings import Settings
from tests.intake.scans import picture
from tests.support.api import assert_error, assert_nothing_left, files_in, uploaded
from tests.support.clients import Client


def send(api: TestClient, content: bytes | None = None, headers: Any = None, **fields: Any) -> Response:
    files = {"file": ("a.png", picture("PNG") if content is None else content)}
    answer: Response = api.post("/v1/overlays", files=files, data=fields, headers=headers)
    return answer


def sent(api: TestClient, headers: Any = None, **fields: Any) -> str:
    answer = send(api, headers=headers, **fields)
    assert answer.status_code == 200, answer.text
    overlay_id: str = answer.json()["data"]["id"]
    return overlay_id


def listed(api: TestClient, query: str = "", headers: Any = None) -> list[str]:
    return [overlay["id"] for overlay in api.get(f"/v1/overlays{query}", headers=headers).json()["data"]]


@pytest.fixture
def admin(database: Database, stranger: Client) -> Client:
    with database.write() as db:
        db.get_one(Account, stranger.account.id).is_admin = True
    return stranger


class TestUpload:
    def test_returns_the_example_of_the_reference(self, api: TestClient) -> None:
        answer = send(api, name="My Gradient")
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert data == {"id": data["id"], "layer": "background", "alignment": "top-left", "name": "My Gradient"}

    def test_stores_the_fields_and_the_reencoded_image(self, api: TestClient, settings: Settings) -> None:
        exif = Image.Exif()
        exif[0x010E] = "home address"
        file = io.BytesIO()
        Image.new("RGB", (40, 30)).save(file, "JPEG", exif=exif)
        fields = {"layer": "foreground", "alignment": "bottom-center", "name": " Logo ", "description": "Ours\nonly"}
        send(api, file.getvalue(), **fields)
        (overlay,) = api.get("/v1/overlays").json()["data"]
        (name,) = files_in(settings.files)
        content = (settings.files / name).read_bytes()
        assert b"home address" not in content
        assert {key: overlay[key] for key in overlay.keys() - {"id", "createdAt"}} == {
            **(fields | {"name": "Logo"}),
            **{"published": False, "contentType": "image/jpeg", "width": 40, "height": 30, "fileSize": len(content)},
        }


class TestRefusedUpload:
    @pytest.fixture(autouse=True)
    def _nothing_left(self, settings: Settings, database: Database, redis: Redis) -> object:
        yield
        assert_nothing_left(settings, database, redis)

    def test_refuses_a_form_without_file(self, api: TestClient) -> None:
        assert_error(api.post("/v1/overlays", data={"name": "x"}), "no_file", 400)
        assert_error(api.post("/v1/overlays", json={"name": "x"}), "no_file", 400)

    @pytest.mark.parametrize("content", [b"", b"text", picture("GIF"), picture("PNG")[:45]], ids=range(4))
    def test_refuses_a_file_that_is_no_image(self, api: TestClient, content: bytes) -> None:
        assert_error(send(api, content), "invalid_format", 400)

    def test_refuses_more_than_ten_megabytes(self, api: TestClient) -> None:
        assert_error(send(api, bytes(10 * 1024**2 + 1)), "file_too_large", 400, "10 MB")

    def test_refuses_two_files(self, api: TestClient) -> None:
        two = [("file", ("a.png", picture("PNG"))), ("file", ("b.png", picture("PNG")))]
        assert_error(api.post("/v1/overlays", files=two), "invalid_request", 422)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("layer", "middle"), ("layer", ""), ("alignment", "left"), ("name", "x" * 101), ("name", "a\0b")),
            *(("description", "x" * 501), ("description", "x" * 5000), ("name", b"\xff\xfe"), ("name", ["a", "b"])),
        ],
    )
    def test_refuses_wrong_fields(self, api: TestClient, field: str, value: Any) -> None:
        assert_error(send(api, **{field: value}), "invalid_request", 422, field)


@pytest.mark.on_both_databases
class TestList:
    def test_shows_own_and_published_overlays(self, api: TestClient, admin: Client) -> None:
        own, hidden, system = sent(api), sent(api, admin.headers), sent(api, admin.headers)
        api.patch(f"/v1/overlays/{system}/publish", headers=admin.headers)
        assert listed(api) == [system, own]
        assert listed(api, headers=admin.headers) == [system, hidden]

    def test_filters_by_layer_and_returns_pages(self, api: TestClient) -> None:
        back, front = sent(api), sent(api, layer="foreground")
        assert listed(api, "?layer=background") == [back]
        assert listed(api, "?layer=foreground") == [front]
        answer = api.get("/v1/overlays?limit=1&offset=1").json()
        assert [overlay["id"] for overlay in answer["data"]] == [back]
        assert answer["meta"] == {"total": 2, "offset": 1, "limit": 1}

    @pytest.mark.parametrize("query", ["layer=middle", "limit=0", "limit=101", "offset=-1"])
    def test_refuses_invalid_queries(self, api: TestClient, query: str) -> None:
        assert_error(api.get(f"/v1/overlays?{query}"), "invalid_request", 422, query.partition("=")[0])


class TestPublish:
    def test_requires_an_admin_account(self, api: TestClient) -> None:
        for change in ("publish", "unpublish"):
            assert_error(api.patch(f"/v1/overlays/{sent(api)}/{change}"), "forbidden", 403, "admin")

    def test_can_be_undone(self, api: TestClient, admin: Client) -> None:
        overlay_id = sent(api, admin.headers)
        for change, seen in (("publish", [overlay_id]), ("unpublish", [])):
            answer = api.patch(f"/v1/overlays/{overlay_id}/{change}", headers=admin.headers)
            assert answer.json()["data"]["published"] is bool(seen)
            assert listed(api) == seen

    def test_requires_ownership(self, api: TestClient, admin: Client) -> None:
        answer = api.patch(f"/v1/overlays/{sent(api)}/publish", headers=admin.headers)
        assert_error(answer, "overlay_not_found", 404)


@pytest.mark.on_both_databases
class TestDelete:
    def test_removes_the_overlay(self, api: TestClient) -> None:
        overlay_id = sent(api)
        assert api.delete(f"/v1/overlays/{overlay_id}").json() == {"data": {"id": overlay_id, "deleted": True}}
        assert listed(api) == []
        assert_error(api.delete(f"/v1/overlays/{overlay_id}"), "overlay_not_found", 404)

    def test_requires_ownership(self, api: TestClient, admin: Client) -> None:
        system = sent(api, admin.headers)
        api.patch(f"/v1/overlays/{system}/publish", headers=admin.headers)
        assert_error(api.delete(f"/v1/overlays/{system}"), "overlay_not_found", 404)
        assert listed(api) == [system]

    @pytest.mark.parametrize("overlay_id", ["abc123DEF456", "x", "%00", "%ff", "a" * 3000])
    def test_does_not_find_unknown_ids(self, api: TestClient, overlay_id: str) -> None:
        assert_error(api.delete(f"/v1/overlays/{overlay_id}"), "overlay_not_found", 404)


class TestUsable:
    """Overlays that an account may use as bgImageId."""

    def test_includes_own_and_published_overlays(
        self, api: TestClient, client: Client, admin: Client, database: Database
    ) -> None:
        own, hidden, system = sent(api), sent(api, admin.headers), sent(api, admin.headers)
        api.patch(f"/v1/overlays/{system}/publish", headers=admin.headers)
        with database.read() as db:
            for overlay_id in (own, system):
                assert overlays.usable(db, client.account.id, overlay_id).id == overlay_id
        api.delete(f"/v1/overlays/{own}")
        with database.read() as db:
            for overlay_id in (own, hidden, "\0"):
                with pytest.raises(OverlayNotFound):
                    overlays.usable(db, client.account.id, overlay_id)


class TestInRenders:
    def test_accept_own_and_published_overlays_only(self, api: TestClient, client: Client, admin: Client) -> None:
        model = uploaded(api)["modelId"]
        own, theirs = sent(api), sent(api, headers=admin.headers)
        published = sent(api, headers=admin.headers)
        api.patch(f"/v1/overlays/{published}/publish", headers=admin.headers)

        def order(overlay: str) -> Response:
            body = {"modelId": model, "renderSettings": {"bgImageId": overlay}}
            answer: Response = api.post("/v1/renders", json=body, headers=client.headers)
            return answer

        for allowed in (own, published):
            assert order(allowed).status_code == 201
        assert_error(order(theirs), "invalid_settings", 400, "bgImageId", theirs, "overlay of your own")
        api.delete(f"/v1/overlays/{own}")
        assert_error(order(own), "invalid_settings", 400, "bgImageId", own)

    def test_refuse_an_overlay_of_the_other_layer_with_the_reason(self, api: TestClient) -> None:
        model = uploaded(api)["modelId"]
        for layer, wrong, right in (("foreground", "bgImageId", "fgImageId"), ("background", "fgImageId", "bgImageId")):
            overlay = sent(api, layer=layer)
            answer = api.post("/v1/renders", json={"modelId": model, "renderSettings": {wrong: overlay}})
            assert_error(answer, "invalid_settings", 400, f"renderSettings.{wrong}", f"layer {layer}", right)
            answer = api.post("/v1/renders", json={"modelId": model, "renderSettings": {right: overlay}})
            assert answer.status_code == 201, answer.text

    def test_crop_by_the_overlays_alignment_unless_told_otherwise(self, api: TestClient) -> None:
        model, overlay = uploaded(api)["modelId"], sent(api, alignment="bottom-right")
        orders = {
            "bottom-right": {"bgImageId": overlay},
            "center": {"bgImageId": overlay, "bgAlign": "center"},
            "top-left": {},
        }
        for align, render_settings in orders.items():
            answer = api.post("/v1/renders", json={"modelId": model, "renderSettings": render_settings})
            assert answer.json()["data"]["renderSettings"]["bgAlign"] == align
        render_id = uploaded(api, settings=json.dumps(orders["bottom-right"]))["renderId"]
        assert api.get(f"/v1/renders/{render_id}").json()["data"]["renderSettings"]["bgAlign"] == "bottom-right"

    def test_name_the_item_with_a_foreign_overlay(self, api: TestClient, admin: Client) -> None:
        model, theirs = uploaded(api)["modelId"], sent(api, headers=admin.headers)
        items = [{"modelId": model}, {"modelId": model, "renderSettings": {"bgImageId": theirs}}]
        answer = api.post("/v1/renders/batch", json={"renders": items})
        assert_error(answer, "invalid_settings", 400, "renders[1]", "bgImageId")

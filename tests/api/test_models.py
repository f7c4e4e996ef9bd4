"""Looking at models and getting their files back."""

import re

import pytest
from fastapi.testclient import TestClient

from farm.settings import Settings
from tests.api.helpers import assert_error, files_in, glb, uploaded
from tests.conftest import Client

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class TestGetModel:
    def test_shows_the_model_with_all_its_renders_as_the_reference_spells_them(self, api: TestClient) -> None:
        data = uploaded(api)
        answer = api.get(f"/v1/models/{data['modelId']}").json()
        assert set(answer) == {"data"}
        model = answer["data"]
        assert set(model) == {
            *("id", "originalName", "title", "sku", "tags", "fileSize", "sha256", "createdAt", "renders")
        }
        assert (model["title"], model["sku"], model["tags"]) == (None, None, [])
        assert MOMENT.fullmatch(model["createdAt"])
        for render in model["renders"]:
            assert set(render) == {
                *("id", "status", "is_system_preview", "renderSettings", "createdAt", "updatedAt"),
            }
            assert render["status"] == "pending"
            assert MOMENT.fullmatch(render["updatedAt"])

    @pytest.mark.parametrize("model_id", ["Ab3kF9x2qL1m", "x", "a" * 5000, "%00", "%ff%fe", "%ed%a0%80", "椅子", "*"])
    def test_unknown_ids_are_not_found(self, api: TestClient, model_id: str) -> None:
        assert_error(api.get(f"/v1/models/{model_id}"), "model_not_found", 404)

    def test_another_account_finds_nothing(self, api: TestClient, stranger: Client) -> None:
        model_id = uploaded(api)["modelId"]
        assert_error(api.get(f"/v1/models/{model_id}", headers=stranger.headers), "model_not_found", 404)
        assert_error(api.get(f"/v1/models/{model_id}/file", headers=stranger.headers), "model_not_found", 404)


class TestModelFile:
    def test_comes_back_byte_for_byte_as_an_attachment(self, api: TestClient) -> None:
        content = glb(b"some triangles")
        answer = api.get(f"/v1/models/{uploaded(api, content, name='stühle.glb')['modelId']}/file")
        assert answer.content == content
        assert answer.headers["content-type"] == "model/gltf-binary"
        assert answer.headers["content-disposition"] == (
            "attachment; filename=\"st_hle.glb\"; filename*=UTF-8''st%C3%BChle.glb"
        )

    def test_a_file_that_vanished_from_storage_is_not_found(self, api: TestClient, settings: Settings) -> None:
        model_id = uploaded(api)["modelId"]
        (name,) = files_in(settings.files)
        (settings.files / name).unlink()
        assert_error(api.get(f"/v1/models/{model_id}/file"), "file_not_found", 404)

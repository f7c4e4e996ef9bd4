"""Models over HTTP: read, list, change, delete, download."""

import hashlib
import json
import re

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from redis import Redis
from sqlalchemy import event

from farm.db import models
from farm.db.session import Database
from farm.db.tables import Chunk, Render, Shot
from farm.settings import Settings
from tests.intake.packed import KTX2, textured
from tests.intake.scans import scan
from tests.support.api import assert_error, assert_nothing_left, files_in, upload, uploaded
from tests.support.clients import Client
from tests.support.glb import glb

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class TestGetModel:
    def test_returns_the_model_with_all_its_renders(self, api: TestClient) -> None:
        data = uploaded(api)
        answer = api.get(f"/v1/models/{data['modelId']}").json()
        assert set(answer) == {"data"}
        model = answer["data"]
        assert set(model) == {
            *(
                "id",
                "originalName",
                "title",
                "sku",
                "externalId",
                "tags",
                "archived",
                "fileSize",
                "sha256",
                "createdAt",
            ),
            *("renders", "rendersTotal"),
        }
        assert model["rendersTotal"] == len(model["renders"]) == 2
        assert (model["title"], model["sku"], model["tags"]) == (None, None, [])
        assert MOMENT.fullmatch(model["createdAt"])
        for render in model["renders"]:
            assert set(render) == {
                *("id", "status", "is_system_preview", "renderSettings", "metadata", "createdAt", "updatedAt"),
            }
            assert render["status"] == "pending"
            assert MOMENT.fullmatch(render["updatedAt"])

    @pytest.mark.parametrize("model_id", ["Ab3kF9x2qL1m", "x", "a" * 5000, "%00", "%ff%fe", "%ed%a0%80", "椅子", "*"])
    def test_does_not_find_unknown_ids(self, api: TestClient, model_id: str) -> None:
        assert_error(api.get(f"/v1/models/{model_id}"), "model_not_found", 404)

    @pytest.mark.on_both_databases
    def test_returns_the_preview_and_the_newest_of_many_renders(
        self, api: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models, "MAX_RENDERS_SHOWN", 3)
        model_id = uploaded(api)["modelId"]
        first = api.get(f"/v1/models/{model_id}").json()["data"]["renders"]
        ids = [api.post("/v1/renders", json={"modelId": model_id}).json()["data"]["id"] for _ in range(4)]
        model = api.get(f"/v1/models/{model_id}").json()["data"]
        assert [render["id"] for render in model["renders"]] == [first[0]["id"], *ids[-2:]]
        assert model["rendersTotal"] == 6
        assert api.delete(f"/v1/renders/{first[0]['id']}").status_code == 200
        model = api.get(f"/v1/models/{model_id}").json()["data"]
        assert [render["id"] for render in model["renders"]] == ids[-3:]

    def test_does_not_find_models_of_other_accounts(self, api: TestClient, stranger: Client) -> None:
        model_id = uploaded(api)["modelId"]
        assert_error(api.get(f"/v1/models/{model_id}", headers=stranger.headers), "model_not_found", 404)
        assert_error(api.get(f"/v1/models/{model_id}/file", headers=stranger.headers), "model_not_found", 404)


class TestPreview:
    def test_is_removed_with_its_model_while_it_waits(self, api: TestClient, database: Database) -> None:
        data = uploaded(api)
        assert api.delete(f"/v1/models/{data['modelId']}").status_code == 200
        with database.read() as db:
            assert [render.id for render in db.query(Render)] == [data["renderId"]]
            assert {chunk.shot_id for chunk in db.query(Chunk)} == {shot.id for shot in db.query(Shot)}

    def test_stays_once_a_worker_has_begun_it(self, api: TestClient, database: Database) -> None:
        data = uploaded(api)
        with database.write() as db:
            db.query(Render).filter_by(is_system_preview=True).one().status = "poster-processing"
        api.delete(f"/v1/models/{data['modelId']}")
        with database.read() as db:
            assert db.query(Render).count() == 2


class TestModelFile:
    def test_is_returned_unchanged_as_an_attachment(self, api: TestClient) -> None:
        content = glb(b"some triangles")
        answer = api.get(f"/v1/models/{uploaded(api, content, name='stühle.glb')['modelId']}/file")
        assert answer.content == content
        assert answer.headers["content-type"] == "model/gltf-binary"
        assert answer.headers["content-disposition"] == (
            "attachment; filename=\"st_hle.glb\"; filename*=UTF-8''st%C3%BChle.glb"
        )

    def test_is_not_found_after_a_loss_in_storage(self, api: TestClient, settings: Settings) -> None:
        model_id = uploaded(api)["modelId"]
        (name,) = files_in(settings.files)
        (settings.files / name).unlink()
        assert_error(api.get(f"/v1/models/{model_id}/file"), "file_not_found", 404)


def items(api: TestClient, query: str = "") -> list[str]:
    answer = api.get(f"/v1/models{query}")
    assert answer.status_code == 200, answer.text
    return [model["id"] for model in answer.json()["data"]]


@pytest.mark.on_both_databases
class TestListModels:
    @pytest.fixture
    def three(self, api: TestClient) -> list[str]:
        """Three models, newest first, tagged x, x and y, z."""
        tags = [["z"], ["x", "y"], ["x"]]
        ids = [uploaded(api, glb(bytes([number] * 4)))["modelId"] for number in range(3)]
        for model_id, words in zip(ids, tags, strict=True):
            api.patch(f"/v1/models/{model_id}", json={"tags": words})
        return ids[::-1]

    def test_returns_pages_with_the_newest_first(self, api: TestClient, three: list[str]) -> None:
        assert items(api) == three
        answer = api.get("/v1/models?limit=2&offset=1").json()
        assert [model["id"] for model in answer["data"]] == three[1:]
        assert answer["meta"] == {"total": 3, "offset": 1, "limit": 2}
        assert set(answer["data"][0]) == {
            *("id", "originalName", "title", "sku", "externalId", "tags", "archived", "fileSize", "sha256", "createdAt")
        }

    @pytest.mark.parametrize(
        ("tags", "found"),
        [("x", [0, 1]), ("y", [1]), ("y,z", [1, 2]), (" X ,x", [0, 1]), ("w", []), ("", [0, 1, 2]), (",", [0, 1, 2])],
    )
    def test_finds_models_with_any_of_the_tags(
        self, api: TestClient, three: list[str], tags: str, found: list[int]
    ) -> None:
        assert items(api, f"?tags={tags}") == [three[number] for number in found]
        assert api.get(f"/v1/models?tags={tags}").json()["meta"]["total"] == len(found)

    def test_hides_archived_models_by_default(self, api: TestClient, three: list[str]) -> None:
        assert api.patch(f"/v1/models/{three[1]}/archive").json()["data"]["archived"] is True
        assert items(api) == [three[0], three[2]]
        assert items(api, "?archived=true") == three
        assert api.get(f"/v1/models/{three[1]}").status_code == 200
        assert api.patch(f"/v1/models/{three[1]}/unarchive").json()["data"]["archived"] is False
        assert items(api) == three

    def test_shows_no_models_of_other_accounts(self, api: TestClient, three: list[str], stranger: Client) -> None:
        assert three
        assert api.get("/v1/models?tags=x", headers=stranger.headers).json()["data"] == []

    def test_needs_as_many_queries_for_many_as_for_one(self, api: TestClient, three: list[str]) -> None:
        statements: list[str] = []
        engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        assert items(api, "?limit=1&tags=x") == three[:1]
        one = len(statements)
        assert items(api, "?tags=x,z") == [three[0], three[1], three[2]]
        assert len(statements) == 2 * one

    @pytest.mark.parametrize(
        "query",
        [
            *("limit=0", "limit=101", "limit=-1", "limit=x", "offset=-1", "offset=99999999999", "archived=maybe"),
            *("tags=%00", "tags=" + "a" * 65, "tags=" + ",".join(map(str, range(21)))),
        ],
    )
    def test_refuses_invalid_queries(self, api: TestClient, query: str) -> None:
        assert_error(api.get(f"/v1/models?{query}"), "invalid_request", 422, query.partition("=")[0])

    def test_finds_nothing_for_undecodable_tags(self, api: TestClient) -> None:
        assert items(api, "?tags=%ff%ed%a0%80") == []


@pytest.mark.on_both_databases
class TestUpdateModel:
    @pytest.fixture
    def model(self, api: TestClient) -> str:
        return f"/v1/models/{uploaded(api)['modelId']}"

    def test_changes_only_the_given_fields(self, api: TestClient, model: str) -> None:
        first = api.patch(model, json={"title": " Chair ", "sku": "EC-1", "tags": ["a"]}).json()["data"]
        assert (first["title"], first["sku"], first["tags"]) == ("Chair", "EC-1", ["a"])
        second = api.patch(model, json={"title": "Stool"}).json()["data"]
        assert (second["title"], second["sku"], second["tags"]) == ("Stool", "EC-1", ["a"])
        assert api.patch(model, json={}).json()["data"] == second
        detail = api.get(model).json()["data"]
        assert detail == second | {name: detail[name] for name in ("renders", "rendersTotal")}

    def test_removes_title_and_sku_with_null_or_blank(self, api: TestClient, model: str) -> None:
        api.patch(model, json={"title": "Chair", "sku": "EC-1"})
        changed = api.patch(model, json={"title": None, "sku": " "}).json()["data"]
        assert (changed["title"], changed["sku"]) == (None, None)

    def test_normalises_tags_and_keeps_their_order(self, api: TestClient, model: str) -> None:
        sent = [" Office ", "OFFICE", "Möbel", "", "mo\u0308bel", "b"]
        assert api.patch(model, json={"tags": sent}).json()["data"]["tags"] == ["office", "möbel", "b"]
        assert api.patch(model, json={"tags": ["b", "a"]}).json()["data"]["tags"] == ["b", "a"]
        assert api.patch(model, json={"tags": []}).json()["data"]["tags"] == []

    def test_accepts_at_most_twenty_tags(self, api: TestClient, model: str) -> None:
        tags = [f"tag {number}" for number in range(21)]
        assert_error(api.patch(model, json={"tags": tags}), "invalid_request", 422, "tags", "20")
        assert api.patch(model, json={"tags": tags[:20]}).json()["data"]["tags"] == tags[:20]

    @pytest.mark.parametrize(
        "body",
        [
            *({"title": 7}, {"title": "x" * 256}, {"title": "a\0b"}, {"sku": ["x"]}, {"sku": "\ud800"}, {"titel": "x"}),
            *({"tags": "x"}, {"tags": None}, {"tags": [1]}, {"tags": ["x" * 65]}, {"tags": ["a,b"]}, {"tags": ["\0"]}),
            *([], None, "x"),
        ],
        ids=ascii,
    )
    def test_refuses_invalid_bodies(self, api: TestClient, model: str, body: object) -> None:
        headers = {"Content-Type": "application/json"}
        assert_error(api.patch(model, content=json.dumps(body), headers=headers), "invalid_request", 422)

    def test_does_not_find_models_of_other_accounts(self, api: TestClient, model: str, stranger: Client) -> None:
        for path in ("", "/archive", "/unarchive"):
            answer = api.patch(f"{model}{path}", json={"title": "Mine"}, headers=stranger.headers)
            assert_error(answer, "model_not_found", 404)
        assert_error(api.delete(model, headers=stranger.headers), "model_not_found", 404)


@pytest.mark.on_both_databases
class TestDeleteModel:
    def test_hides_the_model_but_not_its_renders(self, api: TestClient) -> None:
        data = uploaded(api)
        model = f"/v1/models/{data['modelId']}"
        assert api.delete(model).json() == {"data": {"id": data["modelId"], "deleted": True}}
        for answer in (api.get(model), api.get(f"{model}/file"), api.patch(model, json={}), api.delete(model)):
            assert_error(answer, "model_not_found", 404)
        assert_error(api.post("/v1/renders", json={"modelId": data["modelId"]}), "model_not_found", 404)
        assert items(api, "?archived=true") == []
        assert api.get(f"/v1/renders/{data['renderId']}").json()["data"]["modelId"] == data["modelId"]
        assert len(api.get(f"/v1/renders?model={data['modelId']}").json()["data"]) == 1, "without the preview"

    def test_allows_a_new_model_of_the_same_file(self, api: TestClient) -> None:
        ids = set()
        for _ in range(3):
            data = uploaded(api)
            assert "duplicate" not in data
            ids.add(data["modelId"])
            api.delete(f"/v1/models/{data['modelId']}")
        assert len(ids) == 3

    def test_is_undone_for_archived_models_by_an_upload(self, api: TestClient) -> None:
        model_id = uploaded(api)["modelId"]
        api.patch(f"/v1/models/{model_id}/archive")
        assert uploaded(api)["duplicate"] is True
        assert items(api) == [model_id]


class TestCheckHash:
    def ask(self, api: TestClient, sha256: object) -> Response:
        answer: Response = api.post("/v1/models/check-hash", json={"sha256": sha256})
        return answer

    def test_finds_uploaded_but_not_deleted_files(self, api: TestClient, stranger: Client) -> None:
        digest = hashlib.sha256(glb()).hexdigest()
        assert self.ask(api, digest).json() == {"data": {"exists": False}}
        model_id = uploaded(api)["modelId"]
        for spelling in (digest, digest.upper()):
            assert self.ask(api, spelling).json() == {"data": {"exists": True, "modelId": model_id}}
        foreign = api.post("/v1/models/check-hash", json={"sha256": digest}, headers=stranger.headers)
        assert foreign.json() == {"data": {"exists": False}}
        api.delete(f"/v1/models/{model_id}")
        assert self.ask(api, digest).json() == {"data": {"exists": False}}

    @pytest.mark.parametrize("sha256", [None, "", "abc", 7, "g" * 64, "a" * 65, "a" * 64 + "\n"])
    def test_requires_a_hash(self, api: TestClient, sha256: object) -> None:
        assert_error(self.ask(api, sha256), "sha256_required", 400)
        assert_error(api.post("/v1/models/check-hash", json={}), "sha256_required", 400)


class TestPackedModel:
    def test_is_converted_and_returned_as_glb(self, api: TestClient) -> None:
        content = json.dumps(textured(KTX2["etc1s"])).encode()
        first = uploaded(api, content, name="chair.gltf")
        model = api.get(f"/v1/models/{first['modelId']}").json()["data"]
        assert (model["originalName"], model["sha256"]) == ("chair.gltf", hashlib.sha256(content).hexdigest())
        file = api.get(f"/v1/models/{first['modelId']}/file")
        assert file.content.startswith(b"glTF")
        assert b"KHR_texture_basisu" not in file.content
        assert model["fileSize"] == len(file.content)
        assert 'filename="chair.glb"' in file.headers["content-disposition"]
        again = uploaded(api, content, name="chair.gltf")
        assert (again["modelId"], again["duplicate"]) == (first["modelId"], True)

    def test_leaves_nothing_behind_if_broken(
        self, api: TestClient, settings: Settings, database: Database, redis: Redis
    ) -> None:
        content = json.dumps(textured(b"no texture")).encode()
        assert_error(upload(api, content, name="chair.gltf"), "invalid_format", 400, "images[0]")
        assert_nothing_left(settings, database, redis)


class TestScan:
    def test_is_converted_and_returned_as_glb(self, api: TestClient) -> None:
        content = scan()
        model_id = uploaded(api, content, name="stone.zip")["modelId"]
        model = api.get(f"/v1/models/{model_id}").json()["data"]
        assert (model["originalName"], model["sha256"]) == ("stone.zip", hashlib.sha256(content).hexdigest())
        file = api.get(f"/v1/models/{model_id}/file")
        assert file.content.startswith(b"glTF")
        assert model["fileSize"] == len(file.content)
        assert file.headers["content-type"] == "model/gltf-binary"
        assert 'filename="stone.glb"' in file.headers["content-disposition"]

    def test_gets_another_render_if_known(self, api: TestClient) -> None:
        content = scan()
        first = uploaded(api, content, name="stone.zip")
        assert uploaded(api, content, name="again.zip")["modelId"] == first["modelId"]
        assert len(api.get(f"/v1/models/{first['modelId']}").json()["data"]["renders"]) == 3

    def test_leaves_nothing_behind_if_broken(
        self, api: TestClient, settings: Settings, database: Database, redis: Redis
    ) -> None:
        assert_error(upload(api, scan(jpg=None), name="stone.zip"), "invalid_format", 400, "stone.jpg")
        assert_nothing_left(settings, database, redis)

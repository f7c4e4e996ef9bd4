"""Uploading a model over HTTP."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import select

from api.app import create_app
from api.models import service
from api.multipart import clean_name
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.session import Database
from farm.db.tables import Model, Render
from farm.orders.render_settings import RenderSettings
from farm.scheduling.doorbell import QUEUE_NAMES, queue
from farm.settings import Settings
from farm.storage.folder import FolderStorage
from tests.support.api import assert_error, count, files_in, upload, uploaded
from tests.support.clients import Client
from tests.support.glb import glb, gltf


def wake_ups(redis: Redis) -> dict[int, int]:
    return {priority: len(queue(priority, redis)) for priority in QUEUE_NAMES}


class TestUpload:
    def test_returns_the_ids_of_model_and_render(self, api: TestClient) -> None:
        answer = upload(api)
        assert answer.status_code == 201
        assert set(answer.json()) == {"data"}
        assert set(answer.json()["data"]) == {"modelId", "renderId"}

    def test_stores_the_file_and_its_name(self, api: TestClient) -> None:
        content = glb(b"a mesh, say")
        model_id = uploaded(api, content, name="chair.glb")["modelId"]
        model = api.get(f"/v1/models/{model_id}").json()["data"]
        assert (model["originalName"], model["fileSize"]) == ("chair.glb", len(content))
        assert model["sha256"] == hashlib.sha256(content).hexdigest()
        assert api.get(f"/v1/models/{model_id}/file").content == content

    def test_queues_a_free_preview_before_the_render(self, api: TestClient, redis: Redis, database: Database) -> None:
        data = uploaded(api)
        renders = api.get(f"/v1/models/{data['modelId']}").json()["data"]["renders"]
        assert [render["is_system_preview"] for render in renders] == [True, False]
        assert renders[1]["id"] == data["renderId"]
        with database.read() as db:
            chunks = len(db.get_one(Render, data["renderId"]).shot.chunks)
        assert wake_ups(redis) == {FINISHING: 0, PREVIEW: 1, DRAWING: chunks}

    def test_accepts_render_settings_and_adds_defaults(self, api: TestClient) -> None:
        data = uploaded(api, settings='{"aspect": "1:1", "length": 4.7, "bgColor": "#FF8800"}')
        settings = api.get(f"/v1/renders/{data['renderId']}").json()["data"]["renderSettings"]
        asked = RenderSettings(aspect="1:1", length=4.7, bg_color="#FF8800")
        assert settings == asked.to_wire()

    def test_accepts_a_self_contained_gltf(self, api: TestClient) -> None:
        model_id = uploaded(api, gltf(), name="chair.gltf")["modelId"]
        assert api.get(f"/v1/models/{model_id}/file").headers["content-type"] == "model/gltf+json"

    def test_renders_a_known_file_without_another_preview(
        self, api: TestClient, database: Database, settings: Settings
    ) -> None:
        first, second = uploaded(api), uploaded(api, name="again.glb")
        assert second == {"modelId": first["modelId"], "renderId": second["renderId"], "duplicate": True}
        assert second["renderId"] != first["renderId"]
        assert (count(database, Model), count(database, Render)) == (1, 3)
        assert len(files_in(settings.files)) == 1
        model = api.get(f"/v1/models/{first['modelId']}").json()["data"]
        assert model["originalName"] == "chair.glb", "the first name stays"

    def test_separates_models_of_different_accounts(
        self, api: TestClient, stranger: Client, database: Database
    ) -> None:
        uploaded(api)
        api.headers.update(stranger.headers)
        assert "duplicate" not in uploaded(api)
        assert count(database, Model) == 2

    def test_creates_one_model_for_concurrent_uploads(
        self, api: TestClient, database: Database, settings: Settings
    ) -> None:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: uploaded(api), range(4)))
        assert len({answer["modelId"] for answer in answers}) == 1
        assert [answer.get("duplicate") for answer in answers].count(True) == 3
        assert (count(database, Model), count(database, Render)) == (1, 5)
        assert len(files_in(settings.files)) == 1

    def test_creates_one_model_in_a_race_to_the_insert(
        self, api: TestClient, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both_queried = threading.Barrier(2, timeout=10)
        query = service._render_existing

        def query_together(*args: object) -> object:
            known = query(*args)  # type: ignore[arg-type]
            if not both_queried.broken and known is None:
                both_queried.wait()
            return known

        monkeypatch.setattr(service, "_render_existing", query_together)
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda _: uploaded(api), range(2)))
        assert sorted(answer.get("duplicate", False) for answer in answers) == [False, True]
        assert (count(database, Model), len(files_in(settings.files))) == (1, 1)

    def test_creates_the_data_folder(self, settings: Settings, database: Database, client: Client) -> None:
        elsewhere = settings.model_copy(update={"data": settings.data / "new", "database_url": database.url})
        with TestClient(create_app(elsewhere), headers=client.headers) as api:
            uploaded(api)

    def test_works_while_redis_is_down(self, settings: Settings, database: Database, client: Client) -> None:
        without_redis = settings.model_copy(update={"redis_url": f"unix://{settings.data}/no.sock"})
        with TestClient(create_app(without_redis), headers=client.headers) as api:
            uploaded(api)
        assert count(database, Render) == 2

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("chair.glb", "chair.glb"),
            ("../../etc/chair.glb", "chair.glb"),
            ("C:\\models\\chair.glb", "chair.glb"),
            ("stühle & bänke.glb", "stühle & bänke.glb"),
            ("a\x00b\u202ec\r\n.glb", "abc.glb"),
            ("x" * 300 + ".glb", "x" * 251 + ".glb"),
            ("椅子.GLB", "椅子.GLB"),
        ],
    )
    def test_reduces_names_to_a_clean_base_name(self, sent: str, kept: str) -> None:
        assert clean_name(sent) == kept

    def test_returns_a_hostile_name_in_a_safe_header(self, api: TestClient) -> None:
        model_id = uploaded(api, name="e'vil;\u202e☃.glb")["modelId"]
        header = api.get(f"/v1/models/{model_id}/file").headers["content-disposition"]
        assert header.startswith('attachment; filename="')
        assert header.endswith("filename*=UTF-8''e%27vil%3B%E2%98%83.glb")

    @pytest.mark.parametrize(
        ("disposition", "name"),
        [
            (b"filename*=UTF-8''st%C3%BChle.glb", "stühle.glb"),
            (b"filename*=utf-8'de'st%C3%BChle.glb", "stühle.glb"),
            (b"filename*=ISO-8859-1''st%FChle.glb", "stühle.glb"),
            (b"filename*=UTF-8''..%2F..%2Fchair.glb", "chair.glb"),
            (b"filename=\"chair.glb\"; filename*=UTF-8''stool.glb", "chair.glb"),
        ],
    )
    def test_accepts_an_extended_file_name(self, api: TestClient, disposition: bytes, name: str) -> None:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; ' + disposition + b"\r\n\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        response = api.post("/v1/models", content=head + glb() + b"\r\n--x--\r\n", headers=headers)
        assert response.status_code == 201
        model_id = response.json()["data"]["modelId"]
        assert api.get(f"/v1/models/{model_id}").json()["data"]["originalName"] == name

    @pytest.mark.parametrize(
        "disposition",
        [
            f"filename*={rest}".encode()
            for rest in ("KLINGON''a.glb", "idna''a.glb", "undefined''a.glb", "a.glb", "UTF-8''")
        ],
    )
    def test_refuses_an_unreadable_extended_name(self, api: TestClient, disposition: bytes) -> None:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; ' + disposition + b"\r\n\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        response = api.post("/v1/models", content=head + glb() + b"\r\n--x--\r\n", headers=headers)
        assert_error(response, "no_file", 400)


def test_stores_the_file_before_the_row(api: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_at_put = []
    put = FolderStorage.put

    def watched(self: FolderStorage, *args: object) -> None:
        with database.read() as db:
            rows_at_put.append(db.scalars(select(Model)).all())
        put(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderStorage, "put", watched)
    uploaded(api)
    assert rows_at_put == [[]]

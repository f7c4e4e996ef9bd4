"""Uploading a model over HTTP."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from python_multipart.multipart import MultipartParser
from redis import Redis
from sqlalchemy import event, select

from api.app import create_app
from api.models import service
from api.multipart import MAX_PARTS, PartLimit, clean_name
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.session import Database
from farm.db.tables import Model, Render, now
from farm.errors import InvalidRequest
from farm.orders.render_settings import RenderSettings
from farm.scheduling.doorbell import QUEUE_NAMES, queue
from farm.settings import Settings
from farm.storage.folder import FolderStorage
from tests.support.api import assert_error, assert_nothing_left, count, files_in, upload, uploaded
from tests.support.clients import Client
from tests.support.glb import glb, gltf

FILE_FIELD = ("file", ("chair.glb", glb()))


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


class TestRefusedUpload:
    """Refused uploads leave nothing behind."""

    @pytest.fixture(autouse=True)
    def _nothing_left(self, settings: Settings, database: Database, redis: Redis) -> object:
        yield
        assert_nothing_left(settings, database, redis)

    def test_refuses_a_form_without_file(self, api: TestClient) -> None:
        assert_error(api.post("/v1/models", files={"other": ("chair.glb", glb())}), "no_file", 400)

    def test_checks_the_size_before_the_content(self, settings: Settings, database: Database, client: Client) -> None:  # noqa: ARG002
        limited = settings.model_copy(update={"max_upload_bytes": len(glb())})
        with TestClient(create_app(limited), headers=client.headers) as api:
            assert_error(upload(api, glb() + b" "), "file_too_large", 400)
            assert_error(upload(api, bytes(len(glb()))), "invalid_format", 400)

    def test_refuses_a_body_that_is_no_form(self, api: TestClient) -> None:
        assert_error(api.post("/v1/models"), "no_file", 400)
        assert_error(api.post("/v1/models", json={"file": "chair.glb"}), "no_file", 400)

    def test_refuses_text_in_place_of_the_file(self, api: TestClient) -> None:
        """Node's fetch sends a stream like this; the message explains the fix."""
        answer = api.post("/v1/models", files={"file": (None, "[object Object]")})
        assert_error(answer, "no_file", 400, "'file' came as a text field", "a Blob and not a stream")

    def test_refuses_an_empty_file_field(self, api: TestClient) -> None:
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--x--\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert_error(api.post("/v1/models", content=body, headers=headers), "no_file", 400)

    def test_refuses_two_files(self, api: TestClient) -> None:
        two = [("file", ("a.glb", glb())), ("file", ("b.glb", glb()))]
        assert_error(api.post("/v1/models", files=two), "invalid_request", 422)

    @pytest.mark.parametrize("name", ["chair.obj", "chair", "chair.glb.exe", "glb"])
    def test_refuses_a_wrong_suffix(self, api: TestClient, name: str) -> None:
        assert_error(upload(api, name=name), "invalid_format", 400)

    @pytest.mark.parametrize("content", [b"", b"not a model", glb()[:-1], b"\0" * 100])
    def test_refuses_broken_content(self, api: TestClient, content: bytes) -> None:
        assert_error(upload(api, content), "invalid_format", 400)

    @pytest.mark.parametrize(
        ("field", "words"),
        [
            ("renderSettings[aspect]", ["'renderSettings[aspect]'", "Send renderSettings as one field with JSON"]),
            ("rendersettings", ["'rendersettings'", "file, renderSettings"]),
            ("größe", ["'gr\\xf6\\xdfe'"]),
        ],
    )
    def test_refuses_an_unknown_field(self, api: TestClient, field: str, words: list[str]) -> None:
        for files in ([(field, (None, "1:1")), FILE_FIELD], [FILE_FIELD, (field, ("a.glb", glb()))]):
            assert_error(api.post("/v1/models", files=files), "invalid_request", 422, "is not a known field", *words)

    def test_refuses_a_reference_outside(self, api: TestClient) -> None:
        model = glb(buffers=[{"byteLength": 4, "uri": "/etc/passwd"}])
        assert_error(upload(api, model), "invalid_format", 400)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", ["not valid JSON"]),
            ("{", ["not valid JSON"]),
            ("[" * 100_000, ["renderSettings"]),
            ("[]", ["must be a JSON object"]),
            ('{"length": NaN}', ["not valid JSON"]),
            ('{"length": 1e999}', ["renderSettings.length", "3 to 30"]),
            ('{"length": 31}', ["renderSettings.length", "31", "3 to 30"]),
            ('{"length": "6"}', ["renderSettings.length", '"6"', "3 to 30"]),
            ('{"rotateY": 10.5}', ["renderSettings.rotateY", "-180 to 180"]),
            ('{"quality": "8k"}', ["renderSettings.quality", '"share"', '"4k"']),
            ('{"bgColor": "red"}', ["renderSettings.bgColor", "#ff8800"]),
            ('{"lenght": 6}', ["lenght", "Known fields", "length"]),
            ('{"\\ud800": 6}', ["renderSettings"]),
            ('{"bgColor": "\\ud800"}', ["renderSettings.bgColor"]),
            ('{"length": ' + "9" * 5000 + "}", ["renderSettings"]),
            ("x" * 70_000, ["64 KB"]),
        ],
        ids=lambda value: value[:20] if isinstance(value, str) else None,
    )
    def test_refuses_wrong_render_settings(self, api: TestClient, text: str, words: list[str]) -> None:
        assert_error(upload(api, settings=text), "invalid_settings", 400, *words)

    def test_refuses_settings_that_are_not_utf8(self, api: TestClient) -> None:
        files = {"file": ("chair.glb", glb()), "renderSettings": (None, b"\xff\xfe")}
        assert_error(api.post("/v1/models", files=files), "invalid_settings", 400)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"nonsense",
            b"--x\r\n",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.glb"\r\n\r\ngl',
        ],
    )
    def test_refuses_a_broken_form(self, api: TestClient, body: bytes) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert_error(api.post("/v1/models", content=body, headers=headers), "invalid_request", 422)

    def test_refuses_more_than_twenty_parts(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        parsed = 0
        write = MultipartParser.write

        def counted(self: MultipartParser, data: bytes) -> int:
            nonlocal parsed
            parsed += len(data)
            return write(self, data)

        monkeypatch.setattr(MultipartParser, "write", counted)
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        body = b"--x\r\n\r\n\r\n" * 100_000
        assert_error(api.post("/v1/models", content=body, headers=headers), "invalid_request", 422, "20 parts")
        assert parsed == 0

    @pytest.mark.parametrize("size", [1, 3, 7, 1000])
    @pytest.mark.parametrize("boundary", [b"x", b"x" * 70])
    def test_counts_parts_across_blocks(self, boundary: bytes, size: int) -> None:
        parts = PartLimit(boundary)
        form = (b"--" + boundary + b"\r\n\r\n\r\n") * MAX_PARTS + b"--" + boundary + b"--\r\n"
        for start in range(0, len(form), size):
            parts.count(form[start : start + size])
        with pytest.raises(InvalidRequest):
            parts.count(b"\r\n--" + boundary)

    def test_refuses_a_file_that_repeats_the_boundary(self, api: TestClient) -> None:
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.glb"\r\n\r\n' + b"\r\n--xy" * 100_000
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert_error(api.post("/v1/models", content=body, headers=headers), "invalid_request", 422, "the boundary")

    def test_accepts_twenty_parts(self, api: TestClient) -> None:
        form = {**{f"other{number}": (None, "x") for number in range(19)}, "file": ("chair.glb", glb())}
        assert_error(api.post("/v1/models", files=form), "invalid_request", 422, "'other0'")

    @pytest.mark.parametrize("part", ["X: y\r\n" * 9, f"X: {'y' * 5000}\r\n", f"{'x' * 5000}: y\r\n"])
    def test_refuses_large_headers_of_a_part(self, api: TestClient, part: str) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = api.post("/v1/models", content=f"--x\r\n{part}\r\n\r\n--x--\r\n".encode(), headers=headers)
        assert_error(answer, "invalid_request", 422, "Maximum header")

    def test_refuses_a_form_without_boundary(self, api: TestClient) -> None:
        headers = {"Content-Type": "multipart/form-data"}
        assert_error(api.post("/v1/models", content=b"x", headers=headers), "invalid_request", 422, "boundary")

    def test_refuses_a_long_boundary(self, api: TestClient) -> None:
        headers = {"Content-Type": f"multipart/form-data; boundary={'x' * 300}"}
        assert_error(api.post("/v1/models", content=b"x", headers=headers), "invalid_request", 422, "300")

    def test_refuses_a_repeated_field(self, api: TestClient) -> None:
        fields = [("file", ("chair.glb", glb())), *[("renderSettings", (None, "{}"))] * 2]
        assert_error(api.post("/v1/models", files=fields), "invalid_request", 422, "renderSettings only once")

    def test_fails_if_the_commit_fails(self, api: TestClient) -> None:
        def fail(*_: object) -> None:
            raise OSError("the disk is full, says /secret/path")

        farm = api.app.state.farm  # type: ignore[attr-defined]
        event.listen(farm.database.engine, "commit", fail)
        answer = upload(api)
        event.remove(farm.database.engine, "commit", fail)
        assert_error(answer, "internal", 500)
        assert "secret" not in answer.text

    def test_refuses_one_byte_too_many(self, settings: Settings, client: Client) -> None:
        tight = settings.model_copy(update={"max_upload_bytes": len(glb()) - 1})
        with TestClient(create_app(tight), headers=client.headers) as api:
            assert_error(upload(api), "file_too_large", 400)

    def test_fails_if_the_storage_fails(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError("No space left on device")

        monkeypatch.setattr("farm.storage.folder.os.fsync", fail)
        assert_error(upload(api), "internal", 500)


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


class TestUploadLimit:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"upload_limit": 2})

    def test_counts_the_new_models_of_a_day(
        self, api: TestClient, database: Database, settings: Settings, stranger: Client
    ) -> None:
        first = uploaded(api, glb(b"1"))
        uploaded(api, glb(b"2"))
        left = files_in(settings.files)
        assert_error(upload(api, glb(b"3")), "upload_limit", 429, "2", "24 hours")
        assert files_in(settings.files) == left
        assert uploaded(api, glb(b"1"))["duplicate"], "a known file is not a new model"
        assert upload(api, glb(b"3"), headers=stranger.headers).status_code == 201
        with database.write() as db:
            db.get_one(Model, first["modelId"]).created_at = now() - timedelta(hours=25)
        assert upload(api, glb(b"3")).status_code == 201

    def test_counts_deleted_models(self, api: TestClient) -> None:
        for number in range(2):
            model_id = uploaded(api, glb(bytes([number])))["modelId"]
            assert api.delete(f"/v1/models/{model_id}").status_code == 200
        assert_error(upload(api, glb(b"3")), "upload_limit", 429)

    @pytest.mark.on_both_databases
    def test_holds_for_concurrent_uploads(self, api: TestClient, database: Database) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: upload(api, glb(bytes([number + 1]))), range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [429] * 6
        assert count(database, Model) == 2

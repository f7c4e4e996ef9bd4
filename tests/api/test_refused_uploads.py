"""Uploads of models that are refused or fail, and leave nothing behind."""

import pytest
from fastapi.testclient import TestClient
from python_multipart.multipart import MultipartParser
from redis import Redis
from sqlalchemy import event

from api.app import create_app
from api.multipart import MAX_PARTS, PartLimit
from farm.db.session import Database
from farm.errors import InvalidRequest
from farm.settings import Settings
from tests.support.api import assert_error, assert_nothing_left, upload
from tests.support.clients import Client
from tests.support.glb import glb

FILE_FIELD = ("file", ("chair.glb", glb()))


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

"""Downloading the finished files."""

import io
import re
import zipfile
from typing import Any

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Asset, Render
from farm.scheduling import render_status
from farm.storage import Storage
from tests.support.api import assert_error, stored, uploaded
from tests.support.finished_renders import FILES, Finish

VIDEO = FILES["video"][0]

pytestmark = pytest.mark.on_both_storages


@pytest.fixture
def waiting(api: TestClient) -> str:
    """The path of a pending render."""
    return f"/v1/renders/{uploaded(api)['renderId']}"


@pytest.fixture
def done(waiting: str, finished: Finish) -> str:
    """The path of a finished render."""
    finished(waiting.rpartition("/")[2])
    return waiting


class TestFiles:
    @pytest.mark.parametrize(
        ("path", "kind", "content_type"),
        [
            ("video", "video", "video/mp4"),
            ("thumb", "thumb", "video/mp4"),
            ("thumb.jpg", "thumb-still", "image/jpeg"),
            ("poster", "poster", "image/png"),
            ("poster?quality=full", "poster-full", "image/png"),
        ],
    )
    def test_are_sent_completely(self, api: TestClient, done: str, path: str, kind: str, content_type: str) -> None:
        answer = api.get(f"{done}/{path}")
        assert (answer.status_code, answer.content) == (200, FILES[kind][0])
        assert answer.headers["content-type"] == content_type
        assert answer.headers["content-length"] == str(len(FILES[kind][0]))
        assert answer.headers["accept-ranges"] == "bytes"

    @pytest.mark.parametrize("file", ["video", "poster", "thumb", "thumb.jpg"])
    def test_are_not_found_before_they_exist(self, api: TestClient, waiting: str, file: str) -> None:
        assert_error(api.get(f"{waiting}/{file}"), f"{file.removesuffix('.jpg')}_not_found", 404)
        assert_error(api.get(f"/v1/renders/Xz7pQ4w8nR2k/{file}"), "render_not_found", 404)

    def test_include_the_poster_before_the_video(self, api: TestClient, done: str, database: Database) -> None:
        with database.write() as db:
            for asset in db.get_one(Render, done.rpartition("/")[2]).assets:
                if asset.kind == "video":
                    db.delete(asset)
        assert api.get(f"{done}/poster").status_code == 200
        assert_error(api.get(f"{done}/video"), "video_not_found", 404)

    def test_include_no_web_variant_for_share(self, api: TestClient, done: str) -> None:
        answer = api.get(f"{done}/video?quality=web")
        assert_error(answer, "video_not_found", 404, "no web variant of quality share")

    def test_include_a_web_variant_later_where_the_tier_has_one(self, api: TestClient, waiting: str) -> None:
        body = {"modelId": api.get(waiting).json()["data"]["modelId"], "renderSettings": {"quality": "standard"}}
        render_id = api.post("/v1/renders", json=body).json()["data"]["id"]
        assert_error(api.get(f"/v1/renders/{render_id}/video?quality=web"), "video_not_found", 404, "not yet")

    @pytest.mark.parametrize("file", ["video", "poster", "thumb", "thumb.jpg", "bundle"])
    def test_of_a_failed_render_are_missing_for_the_reason_that_it_failed(
        self, api: TestClient, waiting: str, file: str, database: Database
    ) -> None:
        with database.write() as db:
            render = db.get_one(Render, waiting.rpartition("/")[2])
            render_status.advance(db, render, "error", message="The model has no mesh")
        code = f"{'video' if file == 'bundle' else file.removesuffix('.jpg')}_not_found"
        assert_error(api.get(f"{waiting}/{file}"), code, 404, "This render failed", "no mesh")
        api.patch(f"{waiting}/dismiss")
        assert_error(api.get(f"{waiting}/{file}"), code, 404, "This render failed", "no mesh")

    @pytest.mark.parametrize("path", ["video?quality=4k", "poster?quality=web"])
    def test_refuse_an_unknown_variant(self, api: TestClient, done: str, path: str) -> None:
        assert_error(api.get(f"{done}/{path}"), "invalid_request", 422, "quality")

    def test_are_not_found_after_a_loss_in_storage(self, api: TestClient, done: str, storage: Storage) -> None:
        for key in stored(storage):
            storage.delete(key)
        assert_error(api.get(f"{done}/video"), "video_not_found", 404)


class TestRange:
    @pytest.mark.parametrize(
        ("asked", "start", "end"),
        [
            ("bytes=0-99", 0, 99),
            ("bytes=9990-", 9990, 9999),
            ("bytes=-5", 9995, 9999),
            ("bytes=9000-99999", 9000, 9999),
        ],
    )
    def test_returns_exactly_the_requested_part(
        self, api: TestClient, done: str, asked: str, start: int, end: int
    ) -> None:
        answer = api.get(f"{done}/video", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, VIDEO[start : end + 1])
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(VIDEO)}"
        assert answer.headers["content-length"] == str(end - start + 1)

    def test_reports_the_size_for_a_range_beyond_the_end(self, api: TestClient, done: str) -> None:
        answer = api.get(f"{done}/video", headers={"Range": f"bytes={len(VIDEO)}-"})
        assert_error(answer, "range_not_satisfiable", 416, str(len(VIDEO)))
        assert answer.headers["content-range"] == f"bytes */{len(VIDEO)}"

    @pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-2", "nonsense"])
    def test_returns_the_whole_file_for_an_invalid_range(self, api: TestClient, done: str, asked: str) -> None:
        answer = api.get(f"{done}/video", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, VIDEO)

    def test_works_for_thumbnail_and_model(self, api: TestClient, done: str) -> None:
        model_id = api.get(done).json()["data"]["modelId"]
        for path in (f"{done}/thumb", f"/v1/models/{model_id}/file"):
            answer = api.get(path, headers={"Range": "bytes=2-5"})
            assert (answer.status_code, len(answer.content)) == (206, 4)

    def test_honours_if_range(self, api: TestClient, done: str) -> None:
        tag = api.get(f"{done}/video").headers["etag"]
        for seen, status in ((tag, 206), ('"another"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)):
            answer = api.get(f"{done}/video", headers={"Range": "bytes=0-4", "If-Range": seen})
            assert (answer.status_code, answer.content) == (status, VIDEO[:5] if status == 206 else VIDEO)


class TestCaching:
    def test_sends_no_unchanged_file_again(self, api: TestClient, done: str) -> None:
        tag = api.get(f"{done}/video").headers["etag"]
        for tags in (f'"x", {tag}', f"W/{tag}", "*"):
            answer = api.get(f"{done}/video", headers={"If-None-Match": tags})
            assert (answer.status_code, answer.content) == (304, b"")

    def test_changes_the_tag_with_a_new_attempt(self, api: TestClient, done: str, database: Database) -> None:
        before = api.get(f"{done}/video").headers["etag"]
        with database.write() as db:
            render = db.get_one(Render, done.rpartition("/")[2])
            (old,) = [asset for asset in render.assets if asset.kind == "video"]
            new = Asset(render_id=render.id, kind="video", storage_key=old.storage_key)
            new.content_type, new.size = old.content_type, old.size
            db.delete(old)
            db.flush()
            db.add(new)
        assert api.get(f"{done}/video").headers["etag"] != before

    def test_returns_the_headers_only_for_head(self, api: TestClient, done: str) -> None:
        asked, given = api.head(f"{done}/video"), api.get(f"{done}/video")
        assert (asked.status_code, asked.content) == (200, b"")
        for header in ("content-length", "content-type", "etag", "accept-ranges"):
            assert asked.headers[header] == given.headers[header]
        assert api.head(f"{done.rpartition('/')[0]}/Xz7pQ4w8nR2k/video").status_code == 404


class TestNames:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("video", ".mp4"),
            ("thumb", "-thumb.mp4"),
            ("thumb.jpg", "-thumb.jpg"),
            ("poster", "-poster-small.png"),
            ("poster?quality=full", "-poster.png"),
        ],
    )
    def test_are_derived_from_the_model_and_the_render(self, api: TestClient, done: str, path: str, name: str) -> None:
        name = f"chair-turntable-share-16x9-{done.rpartition('/')[2]}{name}"
        said = api.get(f"{done}/{path}").headers["content-disposition"]
        assert said == f"inline; filename=\"{name}\"; filename*=UTF-8''{name}"

    def test_tell_renders_of_a_model_apart(self, api: TestClient, finished: Finish) -> None:
        model_id = uploaded(api)["modelId"]
        variants: list[dict[str, Any]] = [
            {},
            {"bgColor": "#000000"},
            {"quality": "4k", "aspect": "9:16"},
            {"effect": "hero-spin", "quality": "standard"},
        ]
        names = []
        for variant in variants:
            order = {"modelId": model_id, "renderSettings": variant}
            render_id = api.post("/v1/renders", json=order).json()["data"]["id"]
            finished(render_id)
            names += [
                re.findall(
                    'filename="(.*?)"', api.get(f"/v1/renders/{render_id}/{kind}").headers["content-disposition"]
                )
                for kind in ("video", "poster", "thumb", "bundle")
            ]
        assert len({name for [name] in names}) == 4 * len(variants)
        assert re.fullmatch(r"chair-hero-spin-standard-16x9-\w{12}\.mp4", names[-4][0])


class TestBundle:
    def test_contains_every_file_and_has_a_length(self, api: TestClient, done: str) -> None:
        answer = api.get(f"{done}/bundle")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-length"] == str(len(answer.content))
        assert "transfer-encoding" not in answer.headers
        assert 'attachment; filename="chair-turntable-share-16x9-' in answer.headers["content-disposition"]
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == {
                "video.mp4": FILES["video"][0],
                "poster.png": FILES["poster-full"][0],
                "thumb.mp4": FILES["thumb"][0],
            }
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
            assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}

    def test_may_be_cached_permanently(self, api: TestClient, done: str) -> None:
        headers = api.get(f"{done}/bundle").headers
        assert "immutable" in headers["cache-control"]
        again = api.get(f"{done}/bundle", headers={"If-None-Match": headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    def test_returns_the_headers_only_for_head(self, api: TestClient, done: str) -> None:
        asked, given = api.head(f"{done}/bundle"), api.get(f"{done}/bundle")
        assert (asked.status_code, asked.content) == (200, b"")
        for header in ("content-length", "content-type", "etag", "content-disposition"):
            assert asked.headers[header] == given.headers[header]

    def test_is_not_found_before_the_render_is_done(self, api: TestClient, waiting: str) -> None:
        assert_error(api.get(f"{waiting}/bundle"), "video_not_found", 404, "no bundle yet: this render is pending")
        assert_error(api.get("/v1/renders/Xz7pQ4w8nR2k/bundle"), "render_not_found", 404)

    def test_is_not_sent_after_a_loss_in_storage(self, api: TestClient, done: str, storage: Storage) -> None:
        (gone,) = [key for key in stored(storage) if key.endswith("thumb.mp4")]
        storage.delete(gone)
        assert_error(api.get(f"{done}/bundle"), "video_not_found", 404)
        assert_error(api.get(f"{done}/thumb"), "thumb_not_found", 404)
        assert api.head(f"{done}/thumb").status_code == 404

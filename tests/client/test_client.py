"""The typed client: requests, responses, errors, downloads."""

import io
import json
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from redis import Redis

from api.rate_limits import PREFIX, WINDOW_SECONDS
from farm.db.session import Database
from farm.db.tables import Render as RenderRow
from farm.scheduling import render_status
from plinth_client import (
    BatchItem,
    ConnectionFailed,
    InvalidRequest,
    NoCredits,
    NotFound,
    Plinth,
    PlinthError,
    RateLimited,
    RenderSettings,
    ServerError,
    Unauthorized,
)
from plinth_client.errors import error_from_body
from tests.client.driven import KINDS, Connect
from tests.client.flaky import serving
from tests.support.clients import Client, new_client
from tests.support.finished_renders import Finish
from tests.support.glb import glb

CONTENT = bytes(range(256)) * 4000  # about a megabyte


# Every call that POSTs, and a response that suits all of them.
POSTS: dict[str, Callable[[Plinth, Path], object]] = {
    "upload": lambda plinth, chair: plinth.models.upload(chair),
    "ingest": lambda plinth, _: plinth.models.ingest("https://example.com/a.glb"),
    "check_hash": lambda plinth, _: plinth.models.check_hash("0" * 64),
    "create": lambda plinth, _: plinth.renders.create("x"),
    "overlay": lambda plinth, chair: plinth.overlays.upload(chair),
    "quote": lambda plinth, _: plinth.quote([{}]),
}
FIELDS = {"modelId": "x", "renderId": "y", "id": "z", "status": "pending", "layer": "background", "exists": False}
QUOTED = {"alignment": "top-left", "creditsRequired": 1, "creditsAvailable": 1, "sufficient": True}
POSTED = json.dumps({"data": FIELDS | QUOTED}).encode()


@pytest.fixture(autouse=True)
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plinth_client.calls.FIRST_RETRY_DELAY_SECONDS", 0.001)


class TestPackage:
    def test_needs_nothing_of_the_farm(self) -> None:
        code = (
            "import plinth_client, sys; print(sorted({'bpy', 'fastapi', 'farm', 'api', 'pydantic'} & set(sys.modules)))"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"

    def test_is_marked_as_typed(self) -> None:
        import plinth_client

        assert (Path(plinth_client.__file__).parent / "py.typed").is_file()


class TestUpload:
    def test_creates_model_render_and_preview(self, plinth: Plinth, chair: Path) -> None:
        seen: list[tuple[int, int | None]] = []
        upload = plinth.models.upload(
            chair, {"aspect": "1:1", "length": 4}, on_progress=lambda done, total: seen.append((done, total))
        )
        model = plinth.models.get(upload.model_id)
        assert (model.original_name, model.file_size) == ("chair.glb", chair.stat().st_size)
        ordered = plinth.renders.get(upload.render_id)
        assert (ordered.render_settings["aspect"], ordered.render_settings["length"]) == ("1:1", 4)
        assert model.preview is not None
        assert model.preview.id != upload.render_id
        assert seen[-1] == (chair.stat().st_size, chair.stat().st_size)
        assert len(seen) > 2
        assert seen == sorted(seen)

    def test_accepts_an_open_file_with_a_name(self, plinth: Plinth) -> None:
        upload = plinth.models.upload(io.BytesIO(glb()), name="stool.glb")
        assert plinth.models.get(upload.model_id).original_name == "stool.glb"
        assert not upload.duplicate

    def test_reports_a_duplicate(self, plinth: Plinth, chair: Path) -> None:
        first, second = plinth.models.upload(chair), plinth.models.upload(chair)
        assert (second.model_id, second.duplicate) == (first.model_id, True)
        assert second.render_id != first.render_id

    def test_raises_an_os_error_for_a_missing_path(self, plinth: Plinth) -> None:
        with pytest.raises(FileNotFoundError):
            plinth.models.upload("nowhere.glb")


class TestRenders:
    def test_are_created_listed_and_deleted(self, plinth: Plinth, chair: Path) -> None:
        model_id = plinth.models.upload(chair).model_id
        render_settings: RenderSettings = {"quality": "standard", "effect": "reveal", "scaleFrom": 0.5}
        queued = plinth.renders.create(model_id, render_settings)
        assert queued.status == "pending"
        assert queued.render_settings.items() >= render_settings.items()
        page = plinth.renders.list(model_id=model_id, limit=1)
        assert (len(page.items), page.total, page.offset, page.limit) == (1, 3, 0, 1)
        plinth.renders.delete(queued.id)
        with pytest.raises(NotFound):
            plinth.renders.get(queued.id)

    def test_are_listed_over_all_pages(self, plinth: Plinth, chair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for kind in KINDS:
            monkeypatch.setattr(f"plinth_client.{kind}.renders.MAX_PAGE_SIZE", 2)
        model_id = plinth.models.upload(chair).model_id
        made = {plinth.renders.create(model_id).id for _ in range(4)}
        found = [render.id for render in plinth.renders.list_all(status="pending")]
        assert len(found) == len(set(found)) == 6
        assert made < set(found)


class TestCredits:
    def test_are_reported_by_account_and_quote(self, plinth: Plinth, client: Client) -> None:
        account = plinth.account()
        assert (account.id, account.email) == (client.account.id, client.account.email)
        quote = plinth.quote([{"quality": "standard"}, {"output": "dataset", "datasetQuality": "196x1024"}])
        assert (quote.credits_required, quote.credits_available) == (20, account.credits)
        assert quote.sufficient
        assert [(item.quality, item.dataset_quality, item.credits) for item in quote.breakdown] == [
            ("standard", None, 4),
            (None, "196x1024", 16),
        ]

    def test_are_charged_for_a_whole_batch_or_none(
        self, url: str, database: Database, chair: Path, connect: Connect
    ) -> None:
        poor = new_client(database, "poor@example.com", credits=3)
        with connect(url, poor.key) as plinth:
            model_id = plinth.models.upload(chair).model_id
            item: BatchItem = {"modelId": model_id, "renderSettings": {"length": 4}}
            with pytest.raises(NoCredits) as refused:
                plinth.renders.batch([item] * 3)
            assert (refused.value.code, refused.value.status) == ("no_credits", 402)
            assert plinth.account().credits == 2
            queued = plinth.renders.batch([item, {"modelId": model_id}])
            assert [(render.model_id, render.status) for render in queued] == [(model_id, "pending")] * 2
            assert plinth.account().credits == 0

    def test_allow_a_failed_render_to_be_dismissed(self, plinth: Plinth, chair: Path, database: Database) -> None:
        render_id = plinth.models.upload(chair).render_id
        with database.write() as db:
            render_status.advance(db, db.get_one(RenderRow, render_id), "error", message="no mesh")
        dismissed = plinth.renders.dismiss(render_id)
        assert (dismissed.status, dismissed.error_message) == ("failed", "no mesh")
        assert plinth.renders.get(render_id) == dismissed


class TestDownload:
    def test_saves_every_file(self, plinth: Plinth, chair: Path, finished: Finish, tmp_path: Path) -> None:
        upload = plinth.models.upload(chair)
        files = finished(upload.render_id)
        out = tmp_path / "out"
        out.mkdir()
        assert plinth.renders.download_video(upload.render_id, out / "v.mp4").read_bytes() == files["video"]
        assert plinth.renders.download_thumb(upload.render_id, out / "t.mp4").read_bytes() == files["thumb"]
        assert plinth.renders.download_poster(upload.render_id, out / "p.png").read_bytes() == files["poster"]
        full = plinth.renders.download_poster(upload.render_id, out / "f.png", quality="full")
        assert full.read_bytes() == files["poster-full"]
        assert plinth.models.download(upload.model_id, out / "m.glb").read_bytes() == chair.read_bytes()
        assert sorted(path.name for path in out.iterdir()) == ["f.png", "m.glb", "p.png", "t.mp4", "v.mp4"]

    def test_saves_the_web_variant_and_the_bundle(
        self, plinth: Plinth, chair: Path, finished: Finish, tmp_path: Path
    ) -> None:
        render_id = plinth.models.upload(chair, {"quality": "standard"}).render_id
        files = finished(render_id)
        assert plinth.renders.get(render_id).has_web_variant
        web = plinth.renders.download_video(render_id, tmp_path / "w.mp4", quality="web")
        assert web.read_bytes() == files["web"]
        with zipfile.ZipFile(plinth.renders.download_bundle(render_id, tmp_path / "all.zip")) as bundle:
            assert {name: bundle.read(name) for name in bundle.namelist()} == {
                "video.mp4": files["video"],
                "web.mp4": files["web"],
                "poster.png": files["poster-full"],
                "thumb.mp4": files["thumb"],
            }

    def test_leaves_nothing_behind_for_a_missing_file(self, plinth: Plinth, chair: Path, tmp_path: Path) -> None:
        render_id = plinth.models.upload(chair).render_id
        with pytest.raises(NotFound) as missing:
            plinth.renders.download_video(render_id, tmp_path / "v.mp4")
        assert missing.value.code == "video_not_found"
        assert [path.name for path in tmp_path.glob("*v.mp4*")] == []

    def test_resumes_after_an_interruption(self, tmp_path: Path, connect: Connect) -> None:
        seen: list[int] = []
        with serving(CONTENT, 400_000, 300_000) as server, connect(server.url) as plinth:
            out = plinth.renders.download_video("x", tmp_path / "v.mp4", on_progress=lambda done, _: seen.append(done))
        assert out.read_bytes() == CONTENT
        starts = [wanted and int(wanted.removeprefix("bytes=").removesuffix("-")) for _, wanted in server.requests]
        assert starts[0] is None
        assert starts[1:] == sorted(starts[1:], key=lambda start: start or 0)
        assert all(starts[1:]), "requested only the rest"
        assert seen[-1] == len(CONTENT)
        assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]

    def test_resumes_in_a_later_call(self, tmp_path: Path, connect: Connect) -> None:
        with serving(CONTENT, 400_000, -1, -1, -1, -1) as server, connect(server.url) as plinth:
            with pytest.raises(ConnectionFailed):
                plinth.renders.download_video("x", tmp_path / "v.mp4")
            assert not (tmp_path / "v.mp4").exists(), "only a complete file has the name"
            server.breaks.clear()
            assert plinth.renders.download_video("x", tmp_path / "v.mp4").read_bytes() == CONTENT
        assert server.requests[-1][1] is not None

    def test_restarts_if_the_file_has_changed(self, tmp_path: Path, connect: Connect) -> None:
        with serving(CONTENT, 400_000, -1, -1, -1, -1) as server, connect(server.url) as plinth:
            with pytest.raises(ConnectionFailed):
                plinth.renders.download_video("x", tmp_path / "v.mp4")
            server.breaks.clear()
            server.content, server.etag = CONTENT[::-1], '"two"'
            assert plinth.renders.download_video("x", tmp_path / "v.mp4").read_bytes() == CONTENT[::-1]
        assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


class TestConnection:
    def test_is_tried_again_for_reads(self, connect: Connect) -> None:
        health = b'{"data": {"status": "ok"}}'
        with serving(health, -1, -1) as server, connect(server.url) as plinth:
            assert plinth.health().status == "ok"
        assert len(server.requests) == 3

    @pytest.mark.parametrize("call", POSTS)
    def test_is_tried_again_with_the_key_of_the_post(self, chair: Path, call: str, connect: Connect) -> None:
        with serving(POSTED, -1, -1) as server, connect(server.url) as plinth:
            for _ in range(2):
                POSTS[call](plinth, chair)
        assert len(server.keys) == 4
        assert server.keys[0] == server.keys[1] == server.keys[2] != server.keys[3], "one key for each call"
        assert uuid.UUID((server.keys[0] or "").strip('"'))
        assert server.bodies[0] != b""
        assert len({without_boundary(body) for body in server.bodies}) == 1, "the file was read again"

    def test_restarts_the_progress_when_an_upload_is_repeated(self, chair: Path, connect: Connect) -> None:
        seen: list[int] = []
        with serving(POSTED, -1) as server, connect(server.url) as plinth:
            plinth.models.upload(chair, on_progress=lambda done, _: seen.append(done))
        assert seen.count(chair.stat().st_size) == 2
        assert max(seen) == chair.stat().st_size

    def test_is_not_tried_again_for_deletions(self, connect: Connect) -> None:
        with serving(b"{}", -1, -1) as server, connect(server.url) as plinth:
            with pytest.raises(ConnectionFailed):
                plinth.renders.delete("x")
            assert len(server.requests) == 1

    def test_is_not_tried_again_for_a_file_that_cannot_be_read_again(self, connect: Connect) -> None:
        with serving(POSTED, -1) as server, connect(server.url) as plinth:
            with pytest.raises(ConnectionFailed):
                plinth.models.upload(cast(BinaryIO, Stream(glb())), name="chair.glb")
            assert len(server.requests) == 1

    def test_names_the_url_if_it_fails(self, connect: Connect) -> None:
        with (
            connect("http://127.0.0.1:1") as plinth,
            pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1") as failed,
        ):
            plinth.health()
        assert (failed.value.code, failed.value.status) == ("connection_failed", 0)


class Stream(io.RawIOBase):
    """Bytes that can be read once."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self.content.read(size)


def without_boundary(body: bytes) -> bytes:
    """A form without the boundary, which is another one in each request."""
    return body.replace(body.partition(b"\r\n")[0].strip(b"-"), b"") if body.startswith(b"--") else body


class TestRetryAfter:
    """The rate limit of the account is used up for some seconds."""

    def test_is_waited_for(self, url: str, client: Client, redis: Redis, connect: Connect) -> None:
        redis.set(f"{PREFIX}account:{client.account.id}", time.time() + WINDOW_SECONDS)
        with connect(url, client.key) as plinth:
            assert plinth.quote([{}]).sufficient

    def test_is_not_waited_for_if_it_is_too_long(
        self, url: str, client: Client, redis: Redis, monkeypatch: pytest.MonkeyPatch, connect: Connect
    ) -> None:
        monkeypatch.setattr("plinth_client.calls.MAX_WAIT_SECONDS", 2)
        redis.set(f"{PREFIX}account:{client.account.id}", time.time() + WINDOW_SECONDS + 30)
        with connect(url, client.key) as plinth, pytest.raises(RateLimited) as refused:
            plinth.quote([{}])
        assert (refused.value.code, refused.value.status) == ("rate_limited", 429)

    def test_is_no_less_than_the_doubling_delay(self, monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
        waits: list[float] = []

        async def record(seconds: float) -> None:
            waits.append(seconds)

        monkeypatch.setattr("time.sleep", waits.append)
        monkeypatch.setattr("asyncio.sleep", record)
        monkeypatch.setattr("plinth_client.calls.MAX_RETRY_DELAY_SECONDS", 0.004)
        with serving(POSTED) as server, connect(server.url) as plinth:
            server.refusals = 4
            plinth.quote([{}])
        assert waits == [0.001, 0.002, 0.004, 0.004]


class TestErrors:
    def test_have_code_status_message_and_request_id(self, plinth: Plinth, chair: Path) -> None:
        model_id = plinth.models.upload(chair).model_id
        with pytest.raises(InvalidRequest, match="length") as refused:
            plinth.renders.create(model_id, {"length": 2})
        assert (refused.value.code, refused.value.status) == ("invalid_settings", 400)
        assert refused.value.request_id

    @pytest.mark.parametrize(("code", "status"), [("request_timeout", 408), ("idempotency_in_flight", 409)])
    def test_are_server_errors_if_the_same_request_may_succeed_later(self, code: str, status: int) -> None:
        assert type(error_from_body(status, {"error": {"code": code, "message": "m"}}, None)) is ServerError
        for other in ("timeout", "conflict"):
            assert type(error_from_body(status, {"error": {"code": other, "message": "m"}}, None)) is InvalidRequest

    def test_are_unauthorized_for_a_wrong_key(self, url: str, connect: Connect) -> None:
        with connect(url, "dxgl_sk_wrong") as plinth, pytest.raises(Unauthorized):
            plinth.renders.list()

    def test_are_plinth_errors_for_other_servers_too(self, connect: Connect) -> None:
        with serving(b"<html>") as server, connect(server.url) as plinth, pytest.raises(PlinthError, match="not JSON"):
            plinth.account()

    def test_are_none_for_health_without_a_key(self, url: str, connect: Connect) -> None:
        with connect(f"{url}/v1/") as plinth:
            assert plinth.health().database == "ok"

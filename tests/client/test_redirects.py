"""Downloads from a farm that redirects to S3, by different HTTP clients."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import requests

from farm.settings import Settings
from plinth_client import NotFound, Plinth
from tests.support.api import assert_error
from tests.support.clients import Client
from tests.support.finished_renders import FILES, Finish
from tests.support.s3 import Door

VIDEO = FILES["video"][0]


@pytest.fixture
def storage_kind() -> str:
    return "s3"


@pytest.fixture
def settings(settings: Settings, s3_door: Door) -> Settings:
    return settings.model_copy(update={"s3_public_endpoint": s3_door.url})


@pytest.fixture
def render(url: str, client: Client, chair: Path, finished: Finish) -> str:
    """The id of a finished render."""
    with Plinth(url, client.key) as plinth:
        render_id = plinth.models.upload(chair).render_id
    finished(render_id)
    return render_id


@pytest.fixture
def video(url: str, render: str) -> str:
    return f"{url}/v1/renders/{render}/video"


class TestResponse:
    def test_redirects_to_s3_and_is_not_cached(self, video: str, client: Client, s3_door: Door) -> None:
        answer = httpx.get(video, headers=client.headers)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith(f"{s3_door.url}/{s3_door.bucket}/renders/")
        assert answer.headers["cache-control"] == "no-store"

    def test_leads_to_a_file_with_type_and_name(self, video: str, client: Client) -> None:
        link = httpx.get(video, headers=client.headers).headers["location"]
        answer = httpx.get(link)
        assert (answer.status_code, answer.content) == (200, VIDEO)
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-disposition"].startswith('inline; filename="chair-turntable-share-16x9-')
        assert httpx.get(link, headers=client.headers).status_code == 400, "S3 refuses a request with a key"

    def test_has_the_same_headers_for_head_and_get(self, video: str, client: Client) -> None:
        asked = httpx.head(video, headers=client.headers)
        given = httpx.get(video, headers=client.headers, follow_redirects=True)
        assert (asked.status_code, asked.headers["content-length"]) == (200, str(len(VIDEO)))
        for header in ("etag", "content-type", "content-disposition"):
            assert asked.headers[header] == given.headers[header]

    def test_is_not_modified_if_the_client_has_the_file(self, video: str, client: Client) -> None:
        tag = httpx.head(video, headers=client.headers).headers["etag"]
        assert httpx.get(video, headers=client.headers | {"If-None-Match": tag}).status_code == 304

    def test_is_an_error_for_an_impossible_range(self, video: str, client: Client) -> None:
        answer = httpx.get(video, headers=client.headers | {"Range": "bytes=10000-"})
        assert_error(answer, "range_not_satisfiable", 416)

    def test_is_an_error_for_a_missing_file(self, video: str, client: Client, s3_door: Door, render: str) -> None:
        s3_door.client().delete_object(Bucket=s3_door.bucket, Key=f"renders/{render}/1/video.mp4")
        assert_error(httpx.get(video, headers=client.headers), "video_not_found", 404)

    def test_is_an_error_without_a_key(self, video: str) -> None:
        assert_error(httpx.get(video), "unauthorized", 401)

    def test_is_no_redirect_for_a_bundle(self, url: str, render: str, client: Client) -> None:
        answer = httpx.get(f"{url}/v1/renders/{render}/bundle", headers=client.headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")

    def test_redirects_for_a_model(self, url: str, render: str, client: Client) -> None:
        with Plinth(url, client.key) as plinth:
            model_id = plinth.renders.get(render).model_id
        answer = httpx.get(f"{url}/v1/models/{model_id}/file", headers=client.headers, follow_redirects=True)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "model/gltf-binary")
        assert answer.headers["content-disposition"].startswith('attachment; filename="chair.glb"')


def by_requests(url: str, headers: dict[str, str], _: Path) -> bytes:
    answer = requests.get(url, headers=headers, timeout=20)
    answer.raise_for_status()
    return answer.content


def by_httpx(url: str, headers: dict[str, str], _: Path) -> bytes:
    return httpx.get(url, headers=headers, follow_redirects=True).raise_for_status().content


def by_curl(url: str, headers: dict[str, str], folder: Path) -> bytes:
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    subprocess.run(["curl", "-sfL", "-o", folder / "got", url, *words], check=True)
    return (folder / "got").read_bytes()


def by_node(url: str, headers: dict[str, str], folder: Path) -> bytes:
    code = (
        "const { URL_, HEADERS, GOT } = process.env;"
        "fetch(URL_, { headers: JSON.parse(HEADERS) }).then(answer => answer.arrayBuffer())"
        ".then(body => require('fs').writeFileSync(GOT, Buffer.from(body)));"
    )
    variables = {"URL_": url, "HEADERS": str(httpx.Response(200, json=headers).text), "GOT": str(folder / "got")}
    subprocess.run(["node", "-e", code], check=True, env=os.environ | variables)
    return (folder / "got").read_bytes()


@pytest.mark.parametrize("get", [by_requests, by_httpx, by_curl, by_node])
class TestClientsThatFollow:
    """None of them sends the key to S3, which would refuse it beside the signature in the URL."""

    def test_get_the_file(
        self, get: Callable[[str, dict[str, str], Path], bytes], video: str, client: Client, tmp_path: Path
    ) -> None:
        assert get(video, client.headers, tmp_path) == VIDEO

    def test_get_the_requested_range(
        self, get: Callable[[str, dict[str, str], Path], bytes], video: str, client: Client, tmp_path: Path
    ) -> None:
        assert get(video, client.headers | {"Range": "bytes=10-19"}, tmp_path) == VIDEO[10:20]


class TestTypedClient:
    def test_resumes_a_download_that_s3_interrupted(
        self, plinth: Plinth, render: str, s3_door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("plinth_client.calls.FIRST_RETRY_DELAY_SECONDS", 0.001)
        s3_door.breaks = [4000, 1000]
        plinth.renders.download_video(render, tmp_path / "chair.mp4")
        assert (tmp_path / "chair.mp4").read_bytes() == VIDEO

    def test_reports_a_file_that_s3_has_lost(self, plinth: Plinth, render: str, s3_door: Door, tmp_path: Path) -> None:
        s3_door.client().delete_object(Bucket=s3_door.bucket, Key=f"renders/{render}/1/thumb.mp4")
        with pytest.raises(NotFound):
            plinth.renders.download_thumb(render, tmp_path / "thumb.mp4")

"""The API of a farm with files in S3, also while S3 is busy, silent or breaks connections."""

import io
import zipfile

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from api.app import create_app
from farm.db.session import Database
from farm.settings import Settings
from farm.storage import Storage
from tests.intake.scans import picture
from tests.support.api import assert_error, assert_nothing_left, credits_of, stored, upload, uploaded
from tests.support.clients import Client
from tests.support.finished_renders import FILES, Finish
from tests.support.glb import glb
from tests.support.s3 import Door

VIDEO = FILES["video"][0]


pytestmark = pytest.mark.usefixtures("hasty_boto3")


@pytest.fixture
def storage_kind() -> str:
    return "s3"


@pytest.fixture
def done(api: TestClient, finished: Finish) -> str:
    """The path of a finished render."""
    render_id = uploaded(api)["renderId"]
    finished(render_id)
    return f"/v1/renders/{render_id}"


class TestNormalOperation:
    def test_stores_uploads_in_the_bucket(self, api: TestClient, storage: Storage) -> None:
        content = glb(b"a mesh, say")
        model_id = uploaded(api, content)["modelId"]
        assert stored(storage) == [f"models/{model_id}.glb"]
        assert api.get(f"/v1/models/{model_id}/file").content == content

    def test_stores_overlays_in_the_bucket(self, api: TestClient, storage: Storage) -> None:
        answer = api.post("/v1/overlays", files={"file": ("a.png", picture())})
        assert stored(storage) == [f"overlays/{answer.json()['data']['id']}.jpg"]

    def test_deletes_the_files_of_a_deleted_render(self, api: TestClient, done: str, storage: Storage) -> None:
        assert len(stored(storage)) == 1 + len(FILES)
        api.delete(done)
        assert len(stored(storage)) == 1


class TestUploadWhileS3:
    @pytest.fixture(autouse=True)
    def _nothing_left(
        self, settings: Settings, database: Database, redis: Redis, s3_door: Door, api: TestClient
    ) -> object:
        before = credits_of(api)
        yield
        s3_door.busy, s3_door.silent = 0, False
        assert credits_of(api) == before
        assert_nothing_left(settings, database, redis)

    def test_is_busy_leaves_nothing_behind(self, api: TestClient, s3_door: Door) -> None:
        s3_door.busy = 1000
        assert_error(upload(api), "unavailable", 503, "storage", "SlowDown")

    def test_is_silent_leaves_nothing_behind(self, settings: Settings, client: Client, s3_door: Door) -> None:
        s3_door.silent = True
        hasty = settings.model_copy(update={"s3_timeout": 0.2})
        with TestClient(create_app(hasty), headers=client.headers) as api:
            assert_error(upload(api), "unavailable", 503, "storage")

    def test_is_busy_leaves_no_overlay_behind(self, api: TestClient, s3_door: Door) -> None:
        s3_door.busy = 1000
        assert_error(api.post("/v1/overlays", files={"file": ("a.png", picture())}), "unavailable", 503)
        assert api.get("/v1/overlays").json()["data"] == []


def test_accepts_an_upload_again_that_s3_refused(api: TestClient, s3_door: Door) -> None:
    s3_door.busy = 1000
    assert upload(api).status_code == 503
    s3_door.busy = 0
    assert "duplicate" not in uploaded(api)


class TestDownloadWhileS3:
    @pytest.mark.parametrize("path", ["video", "bundle"])
    def test_is_busy_reports_it(self, api: TestClient, done: str, s3_door: Door, path: str) -> None:
        s3_door.busy = 1000
        assert_error(api.get(f"{done}/{path}"), "unavailable", 503, "storage")
        assert api.head(f"{done}/{path}").status_code == 503

    def test_breaks_the_connection_is_complete(self, api: TestClient, done: str, s3_door: Door) -> None:
        s3_door.breaks = [4000, 100, 0, 1]
        assert api.get(f"{done}/video").content == VIDEO

    def test_breaks_the_connection_is_exactly_the_range(self, api: TestClient, done: str, s3_door: Door) -> None:
        s3_door.breaks = [10, 0]
        answer = api.get(f"{done}/video", headers={"Range": "bytes=100-199"})
        assert (answer.status_code, answer.content) == (206, VIDEO[100:200])

    def test_breaks_every_file_of_a_bundle_is_complete(self, api: TestClient, done: str, s3_door: Door) -> None:
        s3_door.breaks = [7, 7, 7, 0, 0]
        with zipfile.ZipFile(io.BytesIO(api.get(f"{done}/bundle").content)) as archive:
            assert archive.testzip() is None
            assert archive.read("video.mp4") == VIDEO


def test_deletes_a_render_while_s3_is_busy(api: TestClient, done: str, s3_door: Door) -> None:
    s3_door.busy = 1000
    assert api.delete(done).status_code == 200
    assert_error(api.get(done), "render_not_found", 404)

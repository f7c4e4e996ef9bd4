"""Storage in S3, beyond `test_storage.py`: while S3 is busy, unresponsive or interrupts transfers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farm.errors import Unavailable
from farm.settings import Settings
from farm.storage import Storage, open_storage
from farm.storage.protocol import BLOCK_BYTES
from farm.storage.s3 import MAX_ATTEMPTS
from tests.support.s3 import Door

KEY = "renders/Xz7pQ4w8nR2k/1/video.mp4"
MB = 1024**2
PAGE_SIZE = 1000  # files in one response of S3


pytestmark = pytest.mark.usefixtures("hasty_boto3")


@pytest.fixture
def storage_kind() -> str:
    return "s3"


class TestFiles:
    def test_include_those_beyond_the_first_page(self, storage: Storage, s3_door: Door) -> None:
        client = s3_door.client()

        def put(number: int) -> None:
            client.put_object(Bucket=s3_door.bucket, Key=f"models/{number}.glb", Body=b"glTF")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(PAGE_SIZE + 5)))
        assert len({file.key for file in storage.files()}) == PAGE_SIZE + 5


class TestBusy:
    def test_is_retried_if_brief(self, storage: Storage, s3_door: Door, source: Path) -> None:
        s3_door.busy = MAX_ATTEMPTS - 1
        storage.put(KEY, source)
        s3_door.busy = MAX_ATTEMPTS - 1
        assert b"".join(storage.read(KEY)) == source.read_bytes()

    def test_is_reported_if_lasting_and_stores_nothing(self, storage: Storage, s3_door: Door, source: Path) -> None:
        s3_door.busy = 1000
        with pytest.raises(Unavailable, match="SlowDown"):
            storage.put(KEY, source)
        s3_door.busy = 0
        assert list(storage.keys("renders/")) == []

    def test_is_reported_by_every_operation(self, storage: Storage, s3_door: Door, source: Path) -> None:
        storage.put(KEY, source)
        s3_door.busy = 1000
        for call in (storage.local, storage.delete, storage.read, lambda key: list(storage.keys(key))):
            with pytest.raises(Unavailable):
                call(KEY)


class TestSilent:
    def test_is_reported_after_the_last_retry(self, settings: Settings, s3_door: Door, source: Path) -> None:
        s3_door.silent = True
        storage = open_storage(settings.model_copy(update={"s3_timeout": 0.2}))
        with pytest.raises(Unavailable, match="ReadTimeout"):
            storage.put(KEY, source)
        assert s3_door.asked == ["PUT"] * MAX_ATTEMPTS


class TestUnavailable:
    def test_is_reported(self, storage: Storage, s3_door: Door, source: Path) -> None:
        s3_door.server_close()
        s3_door.shutdown()
        with pytest.raises(Unavailable, match="EndpointConnectionError"):
            storage.put(KEY, source)

    def test_is_reported_for_a_missing_bucket(self, storage: Storage, s3_door: Door) -> None:
        s3_door.client().delete_bucket(Bucket=s3_door.bucket)
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            storage.read(KEY)


class TestInterrupted:
    def test_downloads_resume(self, storage: Storage, s3_door: Door, source: Path) -> None:
        storage.put(KEY, source)
        s3_door.breaks = [BLOCK_BYTES + 7, 0, 0, 1, 0, 0, BLOCK_BYTES]
        assert b"".join(storage.read(KEY, 5, 3 * BLOCK_BYTES - 10)) == source.read_bytes()[5:-8]

    def test_downloads_fail_without_progress(self, storage: Storage, s3_door: Door, source: Path) -> None:
        storage.put(KEY, source)
        s3_door.breaks = [BLOCK_BYTES + 7] + [0] * MAX_ATTEMPTS
        with pytest.raises(Unavailable):
            list(storage.read(KEY))

    def test_copies_are_complete_or_absent(
        self, storage: Storage, s3_door: Door, source: Path, settings: Settings
    ) -> None:
        storage.put(KEY, source)
        s3_door.breaks = [100] * 100
        with pytest.raises(Unavailable):
            storage.local(KEY)
        assert list(settings.copies.iterdir()) == []
        s3_door.breaks = [100]
        assert storage.local(KEY).read_bytes() == source.read_bytes()


class TestCopy:
    def test_is_fetched_once_by_all_processes_of_a_machine(
        self, storage: Storage, s3_door: Door, source: Path, settings: Settings
    ) -> None:
        storage.put(KEY, source)
        path = storage.local(KEY)
        s3_door.busy = 1000
        assert storage.local(KEY) == path
        assert path.parent == settings.copies


class TestLarge:
    def test_uploads_in_parts_and_leaves_none_behind(self, storage: Storage, s3_door: Door, tmp_path: Path) -> None:
        large = tmp_path / "large"
        large.write_bytes(bytes(40 * MB))
        storage.put(KEY, large)
        assert s3_door.asked.count("PUT") == 3
        assert sum(len(block) for block in storage.read(KEY)) == 40 * MB

        s3_door.busy = 1000
        with pytest.raises(Unavailable):
            storage.put("renders/other/1/video.mp4", large)
        s3_door.busy = 0
        assert "Uploads" not in s3_door.client().list_multipart_uploads(Bucket=s3_door.bucket)

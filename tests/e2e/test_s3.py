"""A farm that stores its files in S3: a video, a dataset, and an S3 that responds 503."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePath

import pytest

from tests.support import s3
from tests.support.farms import Farm, farm_on_s3
from tests.support.interruptions import workers_stopped
from tests.support.polling import until


@pytest.fixture(scope="module")
def door(s3_server: str) -> Iterator[s3.Door]:
    with s3.door(s3_server) as door:
        yield door


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, door: s3.Door) -> Iterator[Farm]:
    """A farm that stores its files behind the door."""
    with farm_on_s3(tmp_path_factory.mktemp("s3"), door, FARM_ENGINE="cycles") as running:
        yield running


def stored(door: s3.Door) -> set[str]:
    return {item["Key"] for item in door.client().list_objects_v2(Bucket=door.bucket).get("Contents", ())}


def test_makes_a_video_of_a_model_in_the_bucket(farm: Farm, door: s3.Door) -> None:
    upload = farm.upload("walker.glb", '{"length": 3}')
    render = farm.wait_until_done(upload["renderId"])
    video = farm.client.get(f"/v1/renders/{render['id']}/video").content
    assert (len(video), video[4:8]) == (render["fileSize"], b"ftyp")
    with zipfile.ZipFile(io.BytesIO(farm.client.get(f"/v1/renders/{render['id']}/bundle").content)) as bundle:
        assert bundle.testzip() is None
        assert bundle.read("video.mp4") == video
    assert not (farm.data / "files").exists()

    farm.wait_until_done(farm.preview_of(upload["modelId"])["id"])
    for each in (render["id"], farm.preview_of(upload["modelId"])["id"]):
        assert farm.client.delete(f"/v1/renders/{each}").status_code == 200
    assert stored(door) == {f"models/{upload['modelId']}.glb"}


def test_assembles_a_dataset_of_views_in_the_bucket(farm: Farm, door: s3.Door) -> None:
    upload = farm.upload("product.glb", '{"output": "dataset"}')
    render = farm.wait_until_done(upload["renderId"])
    bundle = farm.client.get(f"/v1/renders/{render['id']}/bundle").content
    assert len(bundle) == render["fileSize"]
    with zipfile.ZipFile(io.BytesIO(bundle)) as files:
        assert files.testzip() is None
        assert len([name for name in files.namelist() if name.startswith("images/")]) == 100
    assert farm.client.get(f"/v1/renders/{render['id']}/poster").status_code == 200
    whole = ["dataset.zip", "poster-small.png", "poster.png", "thumb.jpg"]
    folder = f"renders/{render['id']}/"
    # The views' parts are removed after the commit that names the dataset.
    until(
        lambda: sorted(PurePath(key).name for key in stored(door) if key.startswith(folder)),
        lambda names: names == whole,
    )


def test_loses_no_render_to_a_busy_s3(farm: Farm, door: s3.Door) -> None:
    with workers_stopped(farm):
        upload = farm.upload("draco.glb", '{"length": 3}')
        door.busy = 6  # more requests than one attempt makes
    farm.wait_until_done(upload["renderId"])
    farm.wait_until_done(farm.preview_of(upload["modelId"])["id"])
    assert door.busy == 0

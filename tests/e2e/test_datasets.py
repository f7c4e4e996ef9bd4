"""A dataset through a whole farm: ordered, rendered by a worker that is killed meanwhile, downloaded."""

import contextlib
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator

import pytest
from PIL import Image

from farm.db.session import Database
from tests.support.consistency import run_planned_cleanups
from tests.support.farms import Farm, farm_up
from tests.support.polling import until


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm whose worker may be killed, with chunks of many views and short leases."""
    folder = tmp_path_factory.mktemp("datasets")
    with farm_up(folder, FARM_ENGINE="cycles", FARM_SCALE="0.08", FARM_LEASE_SECONDS="3") as running:
        yield running


def parts(farm: Farm, render: str) -> set[str]:
    """The storage keys of the views rendered so far."""
    with sqlite3.connect(f"file:{farm.data / 'plinth.db'}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT storage_key FROM segments WHERE render_id = ?", [render])
        return {key for (key,) in rows}


def views_of_completed_attempts(farm: Farm) -> int:
    """The number of dataset views rendered by completed attempts, according to the farm's counters."""
    with sqlite3.connect(f"file:{farm.data / 'plinth.db'}?mode=ro", uri=True) as database:
        counted = "SELECT amount, labels FROM counter_increments WHERE name = 'plinth_frames'"
        rows = [(amount, json.loads(labels)) for amount, labels in database.execute(counted)]
    return int(sum(amount for amount, labels in rows if (labels["tier"], labels["source"]) == ("100x800", "drawn")))


def stored(farm: Farm, render: str) -> list[str]:
    """The names of all files that are stored for a render."""
    folder = farm.data / "files" / "renders" / render
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class TestDataset:
    def test_survives_a_crash_without_rendering_a_view_again(self, fragile: Farm) -> None:
        model = fragile.upload("walker.glb", '{"length": 3}')["modelId"]
        render = fragile.order(model, output="dataset", formats=["all"])

        under_way = until(lambda: fragile.render(render), lambda shown: shown["progress"]["frames"] >= 5)
        assert under_way["status"] == "video-processing"
        assert fragile.client.get(f"/v1/renders/{render}/poster").status_code == 200
        [worker] = fragile.workers()
        worker.kill()
        drawn = parts(fragile, render)
        assert len(drawn) >= 5

        finished = fragile.wait_until_done(render)
        assert views_of_completed_attempts(fragile) <= 100 - len(drawn), "a view was rendered twice"
        assert finished["progress"] == {"frames": 100, "of": 100}
        bundle = fragile.client.get(f"/v1/renders/{render}/bundle")
        assert finished["fileSize"] == len(bundle.content)
        with zipfile.ZipFile(io.BytesIO(bundle.content)) as files:
            assert files.testzip() is None
            transforms = json.loads(files.read("transforms.json"))
            assert len(transforms["frames"]) == 100
            for frame in transforms["frames"]:
                assert Image.open(io.BytesIO(files.read(frame["file_path"]))).size == (64, 64)
                assert (
                    Image.open(io.BytesIO(files.read(frame["file_path"].replace("images", "images_rgba")))).mode
                    == "RGBA"
                )
            assert {"sparse/0/images.bin", "depth_exr/0099.exr", "images_4/0099.png"} < set(files.namelist())
        assert parts(fragile, render) == set()
        # A part that the killed worker stored, but did not record, is removed by the render's planned cleanup.
        with contextlib.closing(Database(fragile.settings.database)) as database:
            run_planned_cleanups(database)
        # All other parts are removed after the commit that names the dataset.
        until(
            lambda: stored(fragile, render),
            lambda names: names == ["dataset.zip", "poster-small.png", "poster.png", "thumb.jpg"],
        )

    def test_fails_and_refunds_a_model_without_surface(self, fragile: Farm) -> None:
        before = fragile.balance()
        uploaded = fragile.upload("no_mesh.glb", '{"output": "dataset"}')
        failed = fragile.wait(uploaded["renderId"])
        assert failed["status"] == "error"
        assert "no mesh" in failed["errorMessage"]
        assert fragile.balance() == before

    def test_leaves_no_work_folder_in_scratch(self, fragile: Farm) -> None:
        fragile.wait(fragile.upload("no_mesh.glb", '{"output": "dataset"}')["renderId"])
        until(lambda: not list(fragile.scratch.glob("*/work-*")))

"""A dataset through a whole farm: ordered, drawn by a worker that dies on the way, downloaded."""

import contextlib
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from farm.db.session import Database
from tests.support.consistency import run_planned_cleanups
from tests.support.farms import Farm, farm_up
from tests.support.polling import until


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm whose worker may be killed, with chunks of many views; it notices soon."""
    folder = tmp_path_factory.mktemp("datasets")
    with farm_up(folder, FARM_ENGINE="cycles", FARM_SCALE="0.08", FARM_LEASE_SECONDS="3") as running:
        yield running


def parts(farm: Farm, render: str) -> set[str]:
    """Where the views that are drawn so far are stored."""
    with sqlite3.connect(f"file:{farm.data / 'plinth.db'}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT storage_key FROM segments WHERE render_id = ?", [render])
        return {key for (key,) in rows}


def drawn_by_who_ended_it(farm: Farm) -> int:
    """How many views of datasets were drawn by attempts that came to their end, as the farm's counters have it."""
    with sqlite3.connect(f"file:{farm.data / 'plinth.db'}?mode=ro", uri=True) as database:
        counted = "SELECT amount, labels FROM counter_increments WHERE name = 'plinth_frames'"
        rows = [(amount, json.loads(labels)) for amount, labels in database.execute(counted)]
    return int(sum(amount for amount, labels in rows if (labels["tier"], labels["source"]) == ("100x800", "drawn")))


def stored(farm: Farm, render: str) -> list[str]:
    """The names of all files that are stored for a render."""
    folder = farm.data / "files" / "renders" / render
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class TestDataset:
    def test_is_finished_after_a_crash_without_drawing_a_view_again(self, fragile: Farm) -> None:
        model = fragile.upload("walker.glb", '{"length": 3}')["modelId"]
        render_settings = {"modelId": model, "renderSettings": {"output": "dataset"}}
        render = fragile.client.post("/v1/renders", json=render_settings).json()["data"]["id"]

        seen = until(lambda: fragile.render(render), lambda seen: seen["progress"]["frames"] >= 5)
        assert seen["status"] == "video-processing"
        assert fragile.client.get(f"/v1/renders/{render}/poster").status_code == 200
        [worker] = fragile.workers()
        worker.kill()
        drawn = parts(fragile, render)
        assert len(drawn) >= 5

        finished = fragile.wait(render, "done")
        assert finished["status"] == "done", finished["errorMessage"]
        assert drawn_by_who_ended_it(fragile) <= 100 - len(drawn), "a view that was drawn already was drawn again"
        assert finished["progress"] == {"frames": 100, "of": 100}
        bundle = fragile.client.get(f"/v1/renders/{render}/bundle")
        assert finished["fileSize"] == len(bundle.content)
        with zipfile.ZipFile(io.BytesIO(bundle.content)) as files:
            assert files.testzip() is None
            transforms = json.loads(files.read("transforms.json"))
            assert len(transforms["frames"]) == 100
            for frame in transforms["frames"]:
                assert Image.open(io.BytesIO(files.read(frame["file_path"]))).size == (64, 64)
        assert parts(fragile, render) == set()
        # Whoever was killed after it had stored a part and before that was named has left it to the render's sweep.
        with contextlib.closing(Database(fragile.settings.database)) as database:
            run_planned_cleanups(database)
        # All other parts are removed after the commit that names the dataset.
        until(lambda: stored(fragile, render), lambda names: names == ["dataset.zip", "poster-small.png", "poster.png"])

    def test_of_a_model_without_surface_ends_with_the_reason_and_gives_the_credits_back(self, fragile: Farm) -> None:
        before = fragile.client.get("/v1/account").json()["data"]["credits"]
        uploaded = fragile.upload("no_mesh.glb", '{"output": "dataset"}')
        failed = fragile.wait(uploaded["renderId"])
        assert failed["status"] == "error"
        assert "no mesh" in failed["errorMessage"]
        assert fragile.client.get("/v1/account").json()["data"]["credits"] == before


def test_folders_are_left_clean(fragile: Farm) -> None:
    assert not [path for path in Path(fragile.data).iterdir() if path.name.startswith("plinth-")]

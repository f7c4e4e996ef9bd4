"""The ZIP: its files, their order and formats, and reproducible bytes."""

import io
import json
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import farm
from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.dataset import overview, produce
from farm.dataset.assembly import FOLDERS
from farm.errors import BadModel
from tests.blender.models import glb
from tests.dataset.drawing import SHA256, drawn, spec
from tests.support.assets import ASSETS
from tests.support.blender import TIMEOUT_SECONDS

pytestmark = pytest.mark.slow

SPEC = spec("sphere", views=6, side=96, samples=4)


@pytest.fixture(scope="module")
def archive(host: BlenderHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(host, ASSETS / "product.glb", SPEC, tmp_path_factory.mktemp("zip"))


class TestContents:
    def test_are_the_documented_files_in_order(self, archive: Path) -> None:
        pictures = [f"{folder}/{number:04d}.png" for folder in FOLDERS for number in range(6)]
        others = ["transforms.json", "overview.webp", "sparse_pc.ply", "metadata/dataset.json"]
        with zipfile.ZipFile(archive) as files:
            assert files.namelist() == pictures + others
            assert files.testzip() is None

    def test_are_stored_with_fixed_times_and_permissions(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as files:
            entries = files.infolist()
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in entries} == {0o644}

    def test_have_the_documented_pixel_formats(self, archive: Path) -> None:
        kinds = {"images": "RGB", "depth": "L", "depth_16bit": "I;16", "normals": "RGB", "masks": "L"}
        with zipfile.ZipFile(archive) as files:
            for folder, kind in kinds.items():
                picture = Image.open(io.BytesIO(files.read(f"{folder}/0003.png")))
                assert (picture.mode, picture.size) == (kind, (96, 96))
            mask = np.asarray(Image.open(io.BytesIO(files.read("masks/0003.png"))))
        assert set(np.unique(mask)) == {0, 255}

    def test_state_their_provenance(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as files:
            metadata = json.loads(files.read("metadata/dataset.json"))
            transforms = json.loads(files.read("transforms.json"))
        matrix = np.array(metadata.pop("source_to_dataset"))
        assert matrix.shape == (4, 4)
        assert metadata.pop("versions")["plinth"] == farm.__version__
        assert metadata == {
            "model_sha256": SHA256,
            "template": "studio",
            "template_version": templates.version("studio"),
            "quality": "6x96",
            "coverage": "sphere",
            "engine": "cycles",
            "samples": 4,
        }
        assert (transforms["w"], transforms["h"], len(transforms["frames"])) == (96, 96, 6)

    def test_have_an_overview_of_four_quadrants(self, archive: Path) -> None:
        with zipfile.ZipFile(archive) as files:
            sheet = Image.open(io.BytesIO(files.read("overview.webp"))).convert("RGB")
            first = Image.open(io.BytesIO(files.read("images/0000.png")))
        side = 2 * overview.COLUMNS * overview.CELL_PIXELS
        assert sheet.size == (side, side)
        cell = np.asarray(sheet.crop((0, 0, overview.CELL_PIXELS, overview.CELL_PIXELS)), dtype=float)
        small = np.asarray(
            first.resize((overview.CELL_PIXELS, overview.CELL_PIXELS), Image.Resampling.LANCZOS), dtype=float
        )
        assert np.abs(cell - small).mean() < 6
        normals = np.asarray(sheet)[side // 2 + 2, 2]
        assert np.abs(normals.astype(int) - 128).max() <= 3


class TestReproducibility:
    def test_writes_the_same_bytes_from_views_in_any_order(
        self, archive: Path, host: BlenderHost, tmp_path: Path
    ) -> None:
        parts: dict[int, Path] = {}
        for numbers in ([5, 2], [4], [3, 1, 0]):
            host.stop()
            host.start()
            with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
                shot = SPEC.shot(str(ASSETS / "product.glb"), "cycles")
                found = list(produce.draw_views(blender, shot, SPEC, numbers, tmp_path))
            parts |= dict(zip(numbers, found, strict=True))
        again = tmp_path / "again.zip"
        produce.finish(SPEC, parts.__getitem__, again)
        assert again.read_bytes() == archive.read_bytes()


class TestOverview:
    def test_shows_a_hundred_views_spread_evenly(self) -> None:
        assert overview.selected_views(100) == list(range(100))
        assert overview.selected_views(400) == list(range(0, 400, 4))
        assert len(set(overview.selected_views(196))) == 100
        assert overview.selected_views(3) == [0, 1, 2]


class TestModelWithoutSurface:
    def test_is_refused_without_a_mesh(self, host: BlenderHost, tmp_path: Path) -> None:
        with pytest.raises(BadModel, match="no mesh"):
            drawn(host, ASSETS / "no_mesh.glb", SPEC, tmp_path)

    def test_is_refused_as_bare_points(self, host: BlenderHost, tmp_path: Path) -> None:
        cloud = glb(tmp_path / "cloud.glb", [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)], mode=0)
        with pytest.raises(BadModel, match="no surface"):
            drawn(host, cloud, SPEC, tmp_path)


def test_names_the_blender_version(archive: Path) -> None:
    with zipfile.ZipFile(archive) as files:
        named = json.loads(files.read("metadata/dataset.json"))["versions"]["blender"]
    assert named.startswith(version("bpy").rsplit(".", 1)[0])

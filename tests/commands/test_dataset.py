"""`farm dataset` writes a ZIP, or says in one line why not, and leaves nothing behind."""

import hashlib
import json
import tempfile
import zipfile
from pathlib import Path

import pytest

from tests.support.assets import ASSETS
from tests.support.commands import farm, refused

pytestmark = pytest.mark.usefixtures("small_farm")

PRODUCT = ASSETS / "product.glb"
SCAN = ASSETS / "scan.zip"
NO_MESH = ASSETS / "no_mesh.glb"


@pytest.mark.slow
class TestDataset:
    def test_writes_a_zip_of_a_scan_and_shows_progress(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # all temporary files are in scratch or beside `out`
        out = tmp_path / "new" / "stone.zip"
        options = ("--coverage", "sphere", "--format", "colmap", "--format", "rgba", "--set", "scene=dark")
        result = farm("dataset", SCAN, *options, "-o", out)
        assert result.exit_code == 0, result.output
        with zipfile.ZipFile(out) as files:
            metadata = json.loads(files.read("metadata/dataset.json"))
            assert len(json.loads(files.read("transforms.json"))["frames"]) == 100
            assert {"sparse/0/images.txt", "images_rgba/0099.png"} < set(files.namelist())
        assert (metadata["template"], metadata["coverage"], metadata["samples"]) == ("dark", "sphere", 1)
        assert metadata["model_sha256"] == hashlib.sha256(SCAN.read_bytes()).hexdigest()
        lines = result.stdout.splitlines()
        assert lines[-2].startswith("100/100 views, ")
        assert lines[-1] == str(out)
        assert [path.name for path in out.parent.iterdir()] == ["stone.zip"]
        assert not list((tmp_path / "scratch").iterdir())

    def test_leaves_nothing_behind_without_a_mesh(self, tmp_path: Path) -> None:
        assert "no mesh" in refused("dataset", NO_MESH, "-o", tmp_path / "new" / "x.zip")
        assert not list((tmp_path / "new").iterdir())

    @pytest.mark.usefixtures("no_blender")
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--quality", "1x1", "-o", "x.zip"], 'datasetQuality is "1x1", but must be one of "100x800"'),
            (["--coverage", "dome", "-o", "x.zip"], 'coverage is "dome", but must be one of "hemisphere"'),
            (["--format", "colmap", "--format", "obj", "-o", "x.zip"], 'formats has "obj", but must be'),
            (["--set", "sweepAngle=90", "-o", "x.zip"], 'sweepAngle does not belong to effect "dataset"'),
            (["--set", "output=video", "-o", "x.zip"], 'output is "video", but must be "dataset" or left out'),
            (["--set", "views=19", "-o", "x.zip"], "views is 19, but must be an integer from 20 to 1000"),
            (["-o", "x.tar"], "name a file that ends in .zip"),
        ],
    )
    def test_is_refused_immediately_with_wrong_options(self, arguments: list[str], words: str) -> None:
        assert words in refused("dataset", PRODUCT, *arguments)

    @pytest.mark.usefixtures("no_blender")
    def test_is_not_created_by_render(self) -> None:
        assert "farm dataset" in refused("render", PRODUCT, "--set", "output=dataset", "-o", "x.mp4")

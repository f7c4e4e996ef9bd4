"""`farm render` writes a video and a poster, or says in one line why not, and leaves nothing behind."""

import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.intake.gltf_bytes import BINARY, glb, triangle
from tests.support.assets import ASSETS
from tests.support.commands import done, farm, refused

pytestmark = pytest.mark.usefixtures("small_farm")

PRODUCT = ASSETS / "product.glb"
SCAN = ASSETS / "scan.zip"
NO_MESH = ASSETS / "no_mesh.glb"


@pytest.mark.slow
class TestRender:
    def test_writes_video_and_poster_and_shows_progress(self, tmp_path: Path) -> None:
        out = tmp_path / "new" / "radio.mp4"
        result = farm("render", PRODUCT, "--set", "length=3", "--set", "bgColor=#12ab9f", "-o", out)
        assert result.exit_code == 0, result.output
        with av.open(str(out)) as container:
            assert len(list(container.decode(video=0))) == 3 * 2
        with Image.open(out.with_suffix(".png")) as poster:
            assert poster.size == (96, 54)
            assert poster.convert("RGB").getpixel((0, 0)) == (0x12, 0xAB, 0x9F)
        lines = result.stdout.splitlines()
        assert lines[-2].startswith("6/6 frames, ")
        assert lines[-1] == f"{out} and {out.with_suffix('.png')}"
        assert "\x1b" not in result.output, "plain lines without a terminal"
        assert sorted(path.name for path in out.parent.iterdir()) == ["radio.mp4", "radio.png"]
        assert not list((tmp_path / "scratch").iterdir())

    def test_shows_a_picture_from_disk_behind_the_model(self, tmp_path: Path) -> None:
        halves = Image.new("RGB", (16, 30), (255, 0, 0))
        halves.paste((0, 0, 255), (0, 15, 16, 30))
        halves.save(tmp_path / "halves.png")
        out = tmp_path / "radio.mp4"
        done("render", PRODUCT, "--background", "halves.png", "--set", "length=3", "-o", out)
        with Image.open(out.with_suffix(".png")) as poster:
            assert poster.convert("RGB").getpixel((0, 0)) == (255, 0, 0), "the top, as bgAlign is top-left"
        done(
            "render",
            PRODUCT,
            "--background",
            "halves.png",
            "--set",
            "bgAlign=bottom-left",
            "--set",
            "length=3",
            "-o",
            out,
        )
        with Image.open(out.with_suffix(".png")) as poster:
            assert poster.convert("RGB").getpixel((0, 0)) == (0, 0, 255)

    def test_refuses_a_background_that_is_no_picture(self, tmp_path: Path) -> None:
        said = refused("render", PRODUCT, "--background", PRODUCT, "--set", "length=3", "-o", tmp_path / "radio.mp4")
        assert "The background picture cannot be read" in said
        assert not list(tmp_path.glob("radio*"))

    def test_renders_a_scan_with_no_temporary_files_outside_scratch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        result = farm("render", SCAN, "--set", "length=3", "-o", tmp_path / "stone.mp4")
        assert result.exit_code == 0, result.output
        poster = np.asarray(Image.open(tmp_path / "stone.png"))
        assert poster.min() < 200, "the stone is in the picture"
        assert not list((tmp_path / "scratch").iterdir())

    def test_reports_a_model_without_a_mesh(self, tmp_path: Path) -> None:
        assert "no mesh" in refused("render", NO_MESH, "-o", "x.mp4")
        self._assert_nothing_left(tmp_path)

    def test_reports_a_model_without_size(self, tmp_path: Path) -> None:
        (tmp_path / "point.glb").write_bytes(glb(triangle(), bytes(36) + BINARY[36:]))
        assert "no size" in refused("render", "point.glb", "-o", "x.mp4")
        self._assert_nothing_left(tmp_path)

    def test_names_a_missing_ffmpeg(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_FFMPEG", "no-such-ffmpeg")
        assert "no-such-ffmpeg" in refused("render", PRODUCT, "-o", "x.mp4")
        self._assert_nothing_left(tmp_path)

    @staticmethod
    def _assert_nothing_left(folder: Path) -> None:
        assert not list((folder / "scratch").iterdir())
        assert not (folder / "x.mp4").exists()
        assert not (folder / "x.png").exists()


@pytest.mark.usefixtures("no_blender")
class TestRefusedRender:
    """Errors that can be detected before Blender starts are reported before it starts."""

    @pytest.mark.parametrize(
        ("setting", "said"),
        [
            ("length=2", "length"),
            ("length=long", "length"),
            ("no_such=1", "no_such"),
            ("bgColor=red", "bgColor"),
            ("bgImageId=Ab3kF9x2qL1m", "bgImageId"),
            ("length", "key=value"),
        ],
    )
    def test_names_a_wrong_setting(self, setting: str, said: str, tmp_path: Path) -> None:
        assert said in refused("render", PRODUCT, "--set", setting, "-o", "x.mp4")
        assert not list((tmp_path / "scratch").iterdir())

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("model.stl", b"solid", "model.stl"),
            ("model.glb", b"", "empty"),
            ("model.glb", b"no glTF at all", "GLB"),
            ("model.gltf", b"{", "JSON"),
        ],
    )
    def test_explains_a_wrong_file(self, name: str, content: bytes, said: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        assert said in refused("render", name, "-o", "x.mp4")
        assert not list((tmp_path / "scratch").iterdir())

    def test_shows_the_usage_for_a_missing_file(self) -> None:
        result = farm("render", "nowhere.glb", "-o", "x.mp4")
        assert result.exit_code == 2
        assert "Traceback" not in result.output

    @pytest.mark.parametrize("out", ["file/x.mp4", "/proc/x.mp4", ".", "x.png"])
    def test_names_an_output_path_that_is_not_writable(self, out: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert out in refused("render", PRODUCT, "-o", out)

    @pytest.mark.parametrize(("quality", "out", "right"), [("pro", "x.mp4", ".mov"), ("share", "x.mov", ".mp4")])
    def test_names_the_right_suffix_for_the_tier(self, quality: str, out: str, right: str) -> None:
        assert f"ends in {right}" in refused("render", PRODUCT, "--set", f"quality={quality}", "-o", out)

    def test_names_a_missing_scratch_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_SCRATCH", "/nowhere")
        assert "/nowhere" in refused("render", PRODUCT, "-o", "x.mp4")

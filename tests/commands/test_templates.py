"""`farm templates`: its output, and that no mistake ends in a traceback."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from farm import templates
from tests.support.assets import ASSETS
from tests.support.blender import InsideBlender
from tests.support.commands import done, farm, refused
from tests.support.templates import STUDIO, darken_key, rename_subject, save_changed

pytestmark = pytest.mark.usefixtures("small_farm")

PRODUCT = ASSETS / "product.glb"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the studio template, with its .toml, to change."""
    shutil.copy(STUDIO.with_suffix(".toml"), tmp_path / "shop.toml")
    return Path(shutil.copy(STUDIO, tmp_path / "shop.blend"))


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


class TestList:
    def test_shows_the_built_in_templates_with_descriptions(self) -> None:
        lines = done("templates", "list").splitlines()
        assert [line.split()[0] for line in lines] == ["dark", "daylight", "pedestal", "studio"]
        assert templates.load("dark").description in lines[0]

    def test_shows_a_studios_own_templates_with_their_paths(self, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_TEMPLATES", str(copy.parent))
        assert str(copy) in done("templates", "list")

    def test_reports_a_broken_toml_and_shows_the_others(self, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_TEMPLATES", str(copy.parent))
        copy.with_suffix(".toml").write_text('title = "Shop"')
        result = farm("templates", "list")
        assert result.exit_code == 1
        assert "shop.toml: description is missing" in result.stdout
        assert "studio" in result.stdout


@pytest.mark.slow
class TestCheck:
    @pytest.mark.parametrize("name", ["studio", str(STUDIO)])
    def test_accepts_a_valid_template(self, name: str) -> None:
        assert done("templates", "check", name) == "studio.blend has no problems\n"

    def test_lists_object_problem_and_fix(self, inside: InsideBlender, copy: Path) -> None:
        inside(save_changed, rename_subject, copy)
        copy.with_suffix(".toml").unlink()
        result = farm("templates", "check", copy)
        assert result.exit_code == 1
        assert "bad Subject: there is no such object" in result.stdout
        assert "Rename Product to Subject" in result.stdout
        assert "bad shop.toml: shop.toml is missing" in result.stdout

    def test_refuses_other_files_with_one_line(self, tmp_path: Path) -> None:
        assert "neither a file nor a template" in refused("templates", "check", "atlantis")
        (tmp_path / "poem.blend").write_text("Shall I compare thee to a summer's day?")
        assert "poem.blend is not a complete .blend" in refused("templates", "check", tmp_path / "poem.blend")


@pytest.mark.slow
class TestPreview:
    def test_draws_the_stand_in(self, tmp_path: Path) -> None:
        out = tmp_path / "still.png"
        assert str(out) in done("templates", "preview", "dark", "-o", out, "--engine", "cycles")
        picture = pixels(out)
        assert picture.shape == (54, 96, 3)
        assert (picture[0, 0] == 255).all()
        assert (picture < 250).any(axis=2).mean() > 0.1

    def test_draws_the_given_model(self, tmp_path: Path) -> None:
        done("templates", "preview", "studio", "--model", PRODUCT, "-o", tmp_path / "product.png")
        done("templates", "preview", "studio", "-o", tmp_path / "stand-in.png")
        assert (pixels(tmp_path / "product.png") != pixels(tmp_path / "stand-in.png")).any()

    def test_draws_render_settings(self, tmp_path: Path) -> None:
        settings = ["bgColor=#334455", "aspect=1:1", "rotateY=180", "shadows=false"]
        options = [option for setting in settings for option in ("--set", setting)]
        done("templates", "preview", "studio", *options, "-o", tmp_path / "back.png")
        done("templates", "preview", "studio", *options, "--set", "reflector=true", "-o", tmp_path / "mirror.png")
        back, mirror = pixels(tmp_path / "back.png"), pixels(tmp_path / "mirror.png")
        assert back.shape == (54, 54, 3)
        assert (back[0, 0] == (0x33, 0x44, 0x55)).all()
        assert back[20:35, 20:35].max() < 120, "the dark back of the colour board"
        assert (back != mirror).any()

    def test_draws_a_sheet_along_the_effect_over_a_picture(self, tmp_path: Path) -> None:
        Image.new("RGB", (8, 8), (18, 171, 159)).save(tmp_path / "teal.png")
        options = ["--set", "effect=reveal", "--background", str(tmp_path / "teal.png"), "--sheet"]
        done("templates", "preview", "studio", *options, "-o", tmp_path / "sheet.png")
        sheet = pixels(tmp_path / "sheet.png")
        height, width = 28, 48
        assert sheet.shape == (2 * height + 8, 4 * width + 3 * 8, 3)
        rows, columns = np.arange(2) * (height + 8), np.arange(4) * (width + 8)
        stills = [sheet[top : top + height, left : left + width] for top in rows for left in columns]
        assert all((still[0, 0] == (18, 171, 159)).all() for still in stills)
        covered = [(np.abs(still.astype(int) - (18, 171, 159)).max(axis=-1) > 30).mean() for still in stills]
        assert covered[0] < 0.05 < covered[3] <= covered[-1] + 0.05, "the model grows"

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--set", "scene=dark"], "renderSettings.scene is the template"),
            (["--set", "bgColor=red"], "bgColor"),
            (["--set", "bgImageId=Ab3kF9x2qL1m"], "--background FILE"),
            (["--set", "output=dataset"], "farm dataset"),
            (["--set", "animation=Dance"], "no animation clips"),
            (["--background", PRODUCT], "The background picture cannot be read"),
        ],
    )
    def test_refuses_wrong_settings(self, options: list[str], said: str) -> None:
        assert said in refused("templates", "preview", "studio", *options, "-o", "still.png")
        assert not Path("still.png").exists()

    def test_refuses_a_template_with_violations(self, inside: InsideBlender, copy: Path) -> None:
        inside(save_changed, rename_subject, copy)
        assert "Subject: there is no such object" in refused("templates", "preview", copy, "-o", "still.png")
        assert not Path("still.png").exists()

    @pytest.mark.parametrize("out", ["still.jpg", "."])
    def test_refuses_an_output_that_is_no_png(self, out: str) -> None:
        assert out in refused("templates", "preview", "studio", "-o", out)


@contextmanager
def watching(file: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "farm.cli", "templates", "preview", str(file), "--watch", "-o", str(out)]
    # A shell that runs the tests in the background has them and their children ignore Ctrl-C.
    heed_ctrl_c = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=heed_ctrl_c
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


@pytest.mark.slow
def test_watch_draws_at_every_save_and_survives_a_partial_one(
    inside: InsideBlender,
    copy: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "still.png"
    with watching(copy, out) as process:
        assert str(out) in next_line(process)
        bright = pixels(out)
        content = copy.read_bytes()
        copy.write_bytes(content[: len(content) // 2])
        assert "not a complete .blend" in next_line(process)
        assert (pixels(out) == bright).all()
        inside(save_changed, darken_key, copy)
        assert str(out) in next_line(process)
        assert pixels(out).mean() < bright.mean()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stdout
        assert process.stdout.read() == ""
    assert not list((tmp_path / "scratch").iterdir())

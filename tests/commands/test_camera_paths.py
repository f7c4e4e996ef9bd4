"""The commands `farm camera-paths ...` list the paths and draw a preview sheet of one."""

import json
from pathlib import Path

import pytest
from PIL import Image

from camera_paths import PATHS
from farm import path_sheet
from tests.support.commands import done, refused

pytestmark = pytest.mark.usefixtures("small_farm")


class TestCameraPaths:
    def test_are_listed_with_their_descriptions(self) -> None:
        lines = done("camera-paths", "list").splitlines()
        assert [line.split("  ")[0] for line in lines] == list(PATHS)
        assert all(path.description in line for path, line in zip(PATHS.values(), lines, strict=True))

    def test_are_equal_as_json(self) -> None:
        assert [path["name"] for path in json.loads(done("camera-paths", "list", "--json"))] == list(PATHS)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["swirl", "-o", "x.png"], '"turntable"'),
            (["turntable", "--set", "sweepAngle=90", "-o", "x.png"], "sweepAngle"),
            (["turntable", "--set", "rotateY", "-o", "x.png"], "key=value"),
            (["turntable", "-o", "x.mp4"], ".png"),
            (["turntable", "-o", "file/x.png"], "file"),
        ],
    )
    @pytest.mark.usefixtures("no_blender")
    def test_are_refused_before_blender_starts(self, arguments: list[str], said: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert said in refused("camera-paths", "preview", *arguments)


@pytest.mark.slow
class TestCameraPathPreview:
    def test_is_a_sheet_with_stills_from_blender(self) -> None:
        done("camera-paths", "preview", "hero-spin", "--set", "bgColor=#12ab9f", "-o", "new/sheet.png")
        with Image.open("new/sheet.png") as sheet:
            picture = sheet.convert("RGB")
        assert picture.size == (path_sheet.WIDTH, path_sheet.HEIGHT)
        for number in range(path_sheet.STILLS):
            left = path_sheet.MARGIN + number * (path_sheet.STILL_SIZE + path_sheet.GAP)
            corner = picture.getpixel((left + 3, path_sheet.STRIP_TOP + 3))
            assert corner == pytest.approx((0x12, 0xAB, 0x9F), abs=6), "accuracy of 256 colours"
            seen = picture.crop((left, path_sheet.STRIP_TOP, left + path_sheet.STILL_SIZE, path_sheet.STRIP_TOP + 150))
            assert len(seen.getcolors(150 * 150) or []) > 20, "shows the model"

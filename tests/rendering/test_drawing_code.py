"""The version of the drawing code changes with the sources that determine pixels, and with no others."""

import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

import farm
from farm.rendering.drawing_code import drawing_code, source_digest

REPOSITORY = Path(farm.__file__).parents[1]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources of farm/ and camera_paths/, to change."""
    only_python = shutil.ignore_patterns("__pycache__", "*.ini", "*.mako")
    for package in ("farm", "camera_paths"):
        shutil.copytree(REPOSITORY / package, tmp_path / package, ignore=only_python)
    return tmp_path


def change(file: Path) -> None:
    file.write_text(f"{file.read_text()}\n# changed\n")


class TestSourceDigest:
    @pytest.mark.parametrize(
        "file",
        [
            "farm/scene/camera.py",
            "farm/dataset/depth.py",
            "farm/blender/film.py",
            "farm/blender/host.py",
            "farm/orders/plan.py",
            "farm/templates/__init__.py",
            "camera_paths/turntable.py",
        ],
    )
    def test_changes_with_a_source_that_determines_pixels(self, sources: Path, file: str) -> None:
        before = source_digest(sources)
        change(sources / file)
        assert source_digest(sources) != before

    @pytest.mark.parametrize("folder", ["farm/scene", "farm/dataset", "farm/blender", "camera_paths"])
    def test_changes_with_a_new_file(self, sources: Path, folder: str) -> None:
        before = source_digest(sources)
        (sources / folder / "added.py").touch()
        assert source_digest(sources) != before

    @pytest.mark.parametrize(
        "file",
        [
            "farm/blender/host_process.py",
            "farm/blender/client.py",
            "farm/video/composite.py",
            "farm/rendering/local.py",
        ],
    )
    def test_ignores_sources_that_draw_nothing(self, sources: Path, file: str) -> None:
        before = source_digest(sources)
        change(sources / file)
        assert source_digest(sources) == before


def test_names_the_blender_version_and_the_source_digest() -> None:
    assert drawing_code() == f"{version('bpy')} {source_digest(REPOSITORY)}"

"""The built wheel holds every file that the farm reads from its own folders."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from api.guides import contents
from tests.test_docs import ROOT

FOLDERS = ("api", "farm", "camera_paths", "blender_scenes", "docs")
NOT_BUILT = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.blend1")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel, built from a copy, since the build writes beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=NOT_BUILT)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*command, str(folder / "source")], check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def below(folder: str, pattern: str = "*") -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern) if path.is_file()}


def test_holds_the_pages(files: set[str]) -> None:
    """Templates, style sheets, scripts, licences: every file beside the modules of the API."""
    found = {path for path in below("api", "**/*") if "__pycache__" not in path}
    assert {"api/portal/templates/base.html", "api/swagger_ui/index.html"} <= found
    assert found - files == set()


def test_holds_the_guides_and_their_pictures(files: set[str]) -> None:
    texts = {guide.source for guide in contents.guides().values()} - {"clients/python/README.md"}  # has its own wheel
    pictures = {str(path.relative_to(ROOT)) for path in contents.pictures().values()}
    assert texts | pictures <= files, (texts | pictures) - files


def test_holds_templates_and_camera_paths_with_their_stills(files: set[str]) -> None:
    expected = {
        path for pattern in ("*.blend", "*.toml", "*.glb", "*.jpg") for path in below("blender_scenes", pattern)
    }
    expected |= below("camera_paths", "*.jpg") | below("camera_paths", "*.webp")
    assert expected - files == set()


def test_holds_every_module(files: set[str]) -> None:
    modules = {str(path.relative_to(ROOT)) for folder in FOLDERS for path in Path(ROOT / folder).rglob("*.py")}
    assert modules - files == set()

"""The formats beside the documented layout, read by the rules of the programs that they are for."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.dataset import colmap, exr_file, produce
from farm.dataset.view_files import darken_white
from farm.orders.dataset_plan import ADDED_FORMATS
from tests.blender.models import box, glb
from tests.dataset import loaders
from tests.dataset.dataset import Dataset
from tests.dataset.drawing import drawn, spec
from tests.dataset.models import concave
from tests.support.blender import TIMEOUT_SECONDS, InsideBlender

VIEWS, SIDE = 18, 96
SPEC = spec("sphere", views=VIEWS, side=SIDE, samples=4, formats=list(ADDED_FORMATS))
UNLIT_WHITE = {"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 1]}, "extensions": {"KHR_materials_unlit": {}}}


@pytest.fixture(scope="module")
def parts(host: BlenderHost, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The parts of a dataset in all formats."""
    folder = tmp_path_factory.mktemp("formats")
    with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
        shot = SPEC.shot(str(concave(folder)), "cycles")
        return list(produce.draw_views(blender, shot, SPEC, range(VIEWS), folder))


@pytest.fixture(scope="module")
def archive(parts: list[Path]) -> Path:
    out = parts[0].with_name("all.zip")
    produce.finish(SPEC, parts.__getitem__, out)
    return out


@pytest.fixture(scope="module")
def dataset(archive: Path) -> Dataset:
    return Dataset.read(archive)


def poses(dataset: Dataset) -> dict[str, NDArray[np.float64]]:
    """The poses of transforms.json by picture."""
    return {frame["file_path"]: dataset.pose(view) for view, frame in enumerate(dataset.transforms["frames"])}


def opened(content: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(content)))


def over_white(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    alpha = rgba[..., 3:] / 255
    blended: NDArray[np.float64] = rgba[..., :3] * alpha + 255 * (1 - alpha)
    return blended


def assert_same_cameras(dataset: Dataset, cameras: loaders.Cameras) -> None:
    expected = poses(dataset)
    assert cameras.poses.keys() == expected.keys()
    for name, pose in cameras.poses.items():
        assert np.abs(pose - expected[name]).max() < 1e-6
    assert cameras.focal == pytest.approx((dataset.transforms["fl_x"], dataset.transforms["fl_y"]), abs=1e-6)
    assert cameras.centre == (dataset.transforms["cx"], dataset.transforms["cy"])


@pytest.mark.slow
class TestAddedFormats:
    def test_leave_the_documented_files_byte_for_byte(self, archive: Path, parts: list[Path], tmp_path: Path) -> None:
        plain = tmp_path / "plain.zip"
        produce.finish(replace(SPEC, formats=[]), parts.__getitem__, plain)
        with zipfile.ZipFile(plain) as before, zipfile.ZipFile(archive) as after:
            names = before.namelist()
            assert after.namelist()[: len(names)] == names
            assert len(set(after.namelist())) == len(after.namelist()) > len(names)
            for name in names:
                assert after.read(name) == before.read(name), name

    def test_are_in_folders_of_their_own(self, dataset: Dataset) -> None:
        """instant-ngp reads every .json beside transforms.json as more views."""
        folders = {name.partition("/")[0] for name in dataset.files if "/" in name}
        documented = {"images", "depth", "depth_16bit", "normals", "masks", "metadata"}
        added = {"sparse", "nerf_synthetic", "images_rgba", "depth_exr", "depth_linear", "images_2", "images_4"}
        assert folders == documented | added
        assert [name for name in dataset.files if "/" not in name] == [
            "transforms.json",
            "overview.webp",
            "sparse_pc.ply",
        ]


@pytest.mark.slow
class TestColmap:
    def test_has_the_cameras_of_transforms_in_text_and_in_binary(self, dataset: Dataset) -> None:
        assert_same_cameras(dataset, loaders.colmap_text(dataset.files)[0])
        assert_same_cameras(dataset, loaders.colmap_binary(dataset.files)[0])

    def test_has_the_cameras_of_transforms_for_nerfstudio(self, dataset: Dataset) -> None:
        expected = poses(dataset)
        for name, pose in loaders.nerfstudio_colmap(dataset.files).items():
            assert np.abs(pose - expected[name]).max() < 1e-6

    def test_has_the_points_of_the_sparse_cloud_where_the_pictures_show_them(self, dataset: Dataset) -> None:
        xyz, rgb = dataset.cloud()
        names = {frame["file_path"]: view for view, frame in enumerate(dataset.transforms["frames"])}
        for read in (loaders.colmap_text, loaders.colmap_binary):
            points = read(dataset.files)[1]
            assert sorted(points.places) == sorted(points.seen) == list(range(1, len(xyz) + 1))
            assert np.abs(np.array([points.places[id_] for id_ in sorted(points.places)]) - xyz).max() < 1e-6
            assert [points.colours[id_] for id_ in sorted(points.colours)] == rgb.tolist()
            for id_ in list(points.places)[::97]:
                name, pixel = points.seen[id_]
                columns, rows, _ = dataset.project(names[name], points.places[id_][None])
                assert np.abs(pixel - [columns[0], rows[0]]).max() < 2e-3
                column, row = np.floor(pixel).astype(int)
                assert dataset.picture("images", names[name])[row, column].tolist() == points.colours[id_]


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda values: np.linalg.norm(values) > 0.1))
def test_turns_every_rotation_into_a_quaternion_and_back(values: list[float]) -> None:
    w, x, y, z = np.array(values) / np.linalg.norm(values)
    if w < 0:
        w, x, y, z = -w, -x, -y, -z
    pose = loaders._opengl([w, x, y, z], [0, 0, 0])
    *found, _, _, _ = colmap.world_to_camera(pose)
    again = loaders._opengl(found, [0, 0, 0])
    assert np.abs(again - pose).max() < 1e-9
    assert found[0] >= 0


@pytest.mark.slow
class TestNerfSynthetic:
    def test_has_the_cameras_and_pictures_of_the_views_in_three_parts(self, dataset: Dataset) -> None:
        expected, left = list(poses(dataset).items()), set(range(VIEWS))
        parts = {"train": [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17], "val": [4, 12], "test": [0, 8, 16]}
        for part, numbers in parts.items():
            cameras, width = loaders.nerf_synthetic(dataset.files, part)
            assert width == SIDE
            assert cameras.focal[0] == pytest.approx(dataset.transforms["fl_x"], abs=1e-6)
            for number, (name, pose) in zip(numbers, cameras.poses.items(), strict=True):
                assert np.abs(pose - expected[number][1]).max() < 1e-6
                assert dataset.files[name] == dataset.files[f"images_rgba/{number:04d}.png"]
            left -= set(numbers)
        assert not left


@pytest.mark.slow
class TestRgba:
    def test_is_the_picture_when_it_is_over_white(self, dataset: Dataset) -> None:
        soft = 0
        for view in dataset.views:
            rgba = dataset.picture("images_rgba", view)
            assert rgba.shape == (SIDE, SIDE, 4)
            assert np.abs(over_white(rgba) - dataset.picture("images", view)).max() <= 1
            soft += ((rgba[..., 3] > 0) & (rgba[..., 3] < 255)).sum()
        assert soft > 100

    def test_has_straight_alpha(self, dataset: Dataset) -> None:
        """Colours at the edge are the surface's and not mixed with white or black, whatever their alpha."""
        differences = []
        for view in dataset.views:
            rgba, mask = dataset.picture("images_rgba", view).astype(int), dataset.mask(view)
            edge = (rgba[..., 3] > 60) & (rgba[..., 3] < 200)
            surface = rgba[mask & (rgba[..., 3] == 255)][:, :3]
            low, high = np.percentile(surface, 1, axis=0), np.percentile(surface, 99, axis=0)
            differences.append(((rgba[edge][:, :3] < low - 25) | (rgba[edge][:, :3] > high + 25)).any(axis=1))
        assert np.concatenate(differences).mean() < 0.05

    def test_is_opaque_within_masks(self, dataset: Dataset) -> None:
        for view in dataset.views:
            rgba, mask = dataset.picture("images_rgba", view), dataset.mask(view)
            assert (rgba[..., 3][mask] > 100).mean() > 0.98
            assert (rgba[..., 3][~mask] < 155).mean() > 0.98


@pytest.mark.slow
class TestMetricDepth:
    def test_is_the_decoded_depth_within_its_step_in_exr(self, dataset: Dataset) -> None:
        for view in dataset.views:
            depths, mask = loaders.exr(dataset.files[f"depth_exr/{view:04d}.exr"]), dataset.mask(view)
            assert np.abs(depths - dataset.depth(view))[mask].max() <= dataset.count
            assert (depths[~mask] == 0).all()

    def test_is_the_same_in_nerfstudio_by_its_defaults(self, dataset: Dataset) -> None:
        expected = poses(dataset)
        found = loaders.nerfstudio_depth(dataset.files, opened)
        assert found.keys() == expected.keys()
        for view, (name, (depths, pose)) in enumerate(found.items()):
            exact = loaders.exr(dataset.files[f"depth_exr/{view:04d}.exr"])
            assert np.abs(depths - exact).max() <= 0.5e-3 + 1e-6
            assert ((depths == 0) == (exact == 0)).all()
            assert np.abs(pose - expected[name]).max() == 0

    def test_is_read_by_blender(self, dataset: Dataset, inside: InsideBlender, tmp_path: Path) -> None:
        file = tmp_path / "depth.exr"
        file.write_bytes(dataset.files["depth_exr/0003.exr"])
        pixels = np.array(inside(read_by_blender, str(file)), np.float32).reshape(SIDE, SIDE)
        assert (pixels == loaders.exr(file.read_bytes())).all()


def read_by_blender(path: str) -> list[float]:
    """An EXR's first channel, rows top down, as OpenImageIO reads it for Blender."""
    import bpy

    image = bpy.data.images.load(path)
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.array(image.pixels[:], np.float32).reshape(height, width, -1)
    return [float(value) for value in pixels[::-1, :, 0].ravel()]


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 99))
def test_keeps_every_bit_of_a_depth_map_in_exr(width: int, height: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    depths = random.uniform(0, 5, (height, width)).astype(np.float32) * (random.uniform(size=(height, width)) > 0.5)
    assert (loaders.exr(exr_file.encode(depths)) == depths).all()


@pytest.mark.slow
class TestDownscaled:
    @pytest.mark.parametrize("factor", [2, 4])
    def test_is_the_mean_of_the_pixels(self, dataset: Dataset, factor: int) -> None:
        for view in (0, 7):
            whole = dataset.picture("images", view).astype(float)
            small = SIDE // factor
            mean = whole.reshape(small, factor, small, factor, 3).mean(axis=(1, 3))
            assert np.abs(dataset.picture(f"images_{factor}", view) - mean).max() <= 1


class TestWhite:
    @pytest.mark.slow
    def test_is_transparent_to_instant_ngp_where_no_surface_is(self, host: BlenderHost, tmp_path: Path) -> None:
        """A model that is purely white keeps all of its pixels."""
        model = glb(tmp_path / "white.glb", box((-1, 0, -1), (1, 2, 1)), material=UNLIT_WHITE)
        small = spec(views=3, side=64, samples=4, formats=["rgba"])
        white = Dataset.read(drawn(host, model, small, tmp_path))
        assert white.transforms["white_transparent"] is True
        for view in white.views:
            picture, mask = white.picture("images", view), white.mask(view)
            rgba = white.picture("images_rgba", view)
            assert (rgba[mask & (rgba[..., 3] == 255)][:, :3] == 255).mean() > 0.9, "the model is not white"
            opaque = loaders.instant_ngp_alpha(picture)
            assert opaque[mask].all()
            assert not opaque[rgba[..., 3] == 0].any()

    def test_becomes_the_next_grey_on_surfaces_only(self) -> None:
        picture = np.array([[[255, 255, 255], [255, 255, 255], [255, 255, 254]]], np.uint8)
        darken_white(picture, np.array([[True, False, True]]))
        assert picture.tolist() == [[[254, 254, 254], [255, 255, 255], [255, 255, 254]]]

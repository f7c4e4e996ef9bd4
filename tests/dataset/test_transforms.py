"""transforms.json follows the rules of the programs that read it.

nerfstudio: nerfstudio/data/dataparsers/nerfstudio_dataparser.py, as of version 1.1. instant-ngp: src/nerf_loader.cu and
docs/nerf_dataset_tips.md. Their rules are restated here, because neither runs without a GPU.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from farm.dataset import cameras
from farm.dataset.assembly import name
from farm.dataset.depth import Range
from farm.dataset.split import split
from farm.scene.views import directions, pose
from farm.tiers import DATASET_TIERS, Coverage

CAMERA_MODELS = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"}  # of nerfstudio's perspective ones
NGP_SCALE, NGP_OFFSET = 0.33, 0.5
SUPPORTED = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tga", ".pic", ".pnm", ".psd", ".exr"}  # by instant-ngp


@pytest.fixture(params=[(tier, coverage) for tier in DATASET_TIERS for coverage in ("hemisphere", "sphere")])
def transforms(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The file of every tier and coverage, after a round trip through JSON."""
    quality, coverage = request.param
    return made(DATASET_TIERS[quality].views, DATASET_TIERS[quality].side, coverage)


def made(
    views: int, side: int, coverage: Coverage, parts: Mapping[str, Sequence[int]] = MappingProxyType({})
) -> dict[str, Any]:
    names = [name("images", number) for number in range(views)]
    poses = [pose(where, side) for where in directions(views, coverage)]
    return dict(json.loads(json.dumps(cameras.transforms(names, poses, side, Range(2.1, 3.9), parts))))


def files(transforms: dict[str, Any]) -> list[PurePosixPath]:
    return [PurePosixPath(frame["file_path"]) for frame in transforms["frames"]]


class TestNerfstudio:
    def test_finds_one_pinhole_camera_for_all_frames(self, transforms: dict[str, Any]) -> None:
        assert transforms["camera_model"] in CAMERA_MODELS
        assert {"fl_x", "fl_y", "cx", "cy", "w", "h"} <= transforms.keys()
        assert isinstance(transforms["w"], int)
        assert isinstance(transforms["h"], int)
        assert all(set(frame) == {"file_path", "transform_matrix"} for frame in transforms["frames"])

    def test_finds_no_distortion(self, transforms: dict[str, Any]) -> None:
        assert [transforms[key] for key in ("k1", "k2", "p1", "p2")] == [0, 0, 0, 0]
        assert not {"k3", "k4", "distortion_params", "fisheye_crop_radius"} & transforms.keys()

    def test_sorts_the_frames_as_they_are(self, transforms: dict[str, Any]) -> None:
        assert np.argsort([str(path) for path in files(transforms)]).tolist() == list(range(len(files(transforms))))

    def test_opens_files_by_paths_within_the_dataset(self, transforms: dict[str, Any]) -> None:
        for path in [*files(transforms), PurePosixPath(transforms["ply_file_path"])]:
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert path.suffix in {".png", ".ply"}
        assert len(set(files(transforms))) == len(files(transforms))

    def test_finds_no_mask_and_no_depth_that_it_would_misread(self, transforms: dict[str, Any]) -> None:
        assert not any({"mask_path", "depth_file_path"} & set(frame) for frame in transforms["frames"])

    def test_finds_no_transform_that_the_points_would_lack(self, transforms: dict[str, Any]) -> None:
        """Points are read in the frames' own coordinates; an applied_transform would be undone on export."""
        unwanted = {"applied_transform", "applied_scale", "orientation_override", "train_filenames"}
        assert not unwanted & transforms.keys()

    def test_finds_the_parts_of_a_split_that_was_ordered(self) -> None:
        """With one part in the file, nerfstudio wants all three."""
        found = made(20, 200, "sphere", parts=split(20, 5))
        assert found["test_filenames"] == [f"images/{number:04d}.png" for number in (0, 5, 10, 15)]
        assert found["val_filenames"] == [f"images/{number:04d}.png" for number in (2, 7, 12, 17)]
        listed = [name for part in ("train", "val", "test") for name in found[f"{part}_filenames"]]
        assert sorted(listed) == [frame["file_path"] for frame in found["frames"]]

    @pytest.mark.parametrize("views", [1, 2, 3, 20, 21])
    @pytest.mark.parametrize("every", [2, 3, 8])
    def test_has_every_view_once_and_some_to_train_with(self, views: int, every: int) -> None:
        parts = split(views, every)
        assert sorted(number for part in parts.values() for number in part) == list(range(views))
        assert parts["train"]

    def test_keeps_z_up_by_its_own_orientation(self, transforms: dict[str, Any]) -> None:
        """By its default method "up", the mean of the cameras' up axes becomes +z."""
        up = np.mean([np.array(frame["transform_matrix"])[:3, 1] for frame in transforms["frames"]], axis=0)
        assert math.degrees(math.acos(up[2] / np.linalg.norm(up))) < 2

    def test_reads_rigid_poses(self, transforms: dict[str, Any]) -> None:
        for frame in transforms["frames"]:
            pose = np.array(frame["transform_matrix"])
            assert pose.shape == (4, 4)
            assert pose[3].tolist() == [0, 0, 0, 1]
            assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


class TestInstantNgp:
    def test_reads_the_same_focal_length_from_length_and_angle(self, transforms: dict[str, Any]) -> None:
        for axis, pixels in (("x", transforms["w"]), ("y", transforms["h"])):
            by_angle = pixels / 2 / math.tan(transforms[f"camera_angle_{axis}"] / 2)
            assert transforms[f"fl_{axis}"] == pytest.approx(by_angle)

    def test_has_a_box_whose_size_is_a_power_of_two(self, transforms: dict[str, Any]) -> None:
        size = transforms["aabb_scale"]
        assert isinstance(size, int)
        assert 1 <= size <= 128
        assert size & (size - 1) == 0

    def test_has_the_subject_in_its_default_box_and_cameras_outside(self, transforms: dict[str, Any]) -> None:
        """The subject's sphere of radius 1 around the origin goes to position x 0.33 + 0.5 in the unit cube."""
        assert not {"scale", "offset", "aabb", "up"} & transforms.keys()
        assert NGP_OFFSET - NGP_SCALE > 0
        assert NGP_OFFSET + NGP_SCALE < 1
        distances = [np.linalg.norm(np.array(frame["transform_matrix"])[:3, 3]) for frame in transforms["frames"]]
        assert max(distances) - min(distances) < 1e-9
        assert min(distances) > 1

    def test_supports_the_pictures_extension(self, transforms: dict[str, Any]) -> None:
        assert {path.suffix for path in files(transforms)} <= SUPPORTED

    def test_finds_no_field_for_depth_that_it_would_misread(self, transforms: dict[str, Any]) -> None:
        assert not {"integer_depth_scale", "enable_depth_loading", "n_frames"} & transforms.keys()
        assert not any({"depth_path", "sharpness"} & set(frame) for frame in transforms["frames"])

    def test_finds_white_to_be_transparent(self, transforms: dict[str, Any]) -> None:
        assert transforms["white_transparent"] is True
        assert not {"black_transparent", "mask_color"} & transforms.keys()


def test_states_the_depth_range(transforms: dict[str, Any]) -> None:
    assert (transforms["depth_near"], transforms["depth_far"]) == (2.1, 3.9)

"""The views that an order of a dataset asks for: their number, size, place and price, and what is refused."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farm.dataset import cameras as dataset_cameras
from farm.dataset.depth import Range
from farm.errors import InvalidSettings
from farm.orders import cameras
from farm.orders.dataset_plan import dataset
from farm.orders.price import DATASET_PRICES, price_of
from farm.orders.render_settings import RenderSettings, parse
from farm.scene.views import Direction, focal, pose
from farm.settings import Settings
from farm.tiers import DATASET_TIERS
from tests.dataset.drawing import SHA256

FRONT: cameras.Matrix = [[1.0, 0, 0, 0], [0, 0, -1.0, -4.0], [0, 1.0, 0, 0], [0, 0, 0, 1]]  # looks along +Y


def ordered(**fields: Any) -> RenderSettings:
    return parse({"output": "dataset", **fields})


def moved(x: float, y: float, z: float) -> list[list[float]]:
    """FRONT at another place."""
    return [[*row[:3], value] for row, value in zip(FRONT, (x, y, z, 1), strict=True)]


class TestSize:
    def test_is_that_of_the_tier(self) -> None:
        for quality, tier in DATASET_TIERS.items():
            settings = ordered(datasetQuality=quality)
            assert (settings.dataset_size.views, settings.dataset_size.side) == (tier.views, tier.side)
            assert not {"views", "size"} & settings.to_wire().keys()

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"views": 20, "size": 200}, ("100x800", 20, 200)),
            ({"views": 100}, ("100x800", 100, 800)),
            ({"views": 101}, ("196x1024", 101, 800)),
            ({"views": 1000.0, "size": 252}, ("100x800", 1000, 252)),
            ({"size": 1024}, ("196x1024", 100, 1024)),
            ({"views": 1000, "size": 1024}, ("400x2048", 1000, 1024)),
            ({"datasetQuality": "400x2048", "views": 50}, ("400x2048", 50, 2048)),
            ({"datasetQuality": "196x1024", "size": 800}, ("196x1024", 196, 800)),
            ({"cameras": [FRONT] * 120}, ("196x1024", 120, 800)),
            ({"cameras": [FRONT], "size": 2048}, ("100x800", 1, 2048)),
        ],
    )
    def test_is_priced_by_pixels(self, fields: dict[str, Any], expected: tuple[str, int, int]) -> None:
        settings = ordered(**fields)
        size = settings.dataset_size
        assert (size.quality, size.views, size.side) == expected
        assert settings.dataset_quality == expected[0]
        assert price_of(settings.to_wire()) == price_of({"output": "dataset", **fields}) == DATASET_PRICES[size.quality]

    @given(
        views=st.none() | st.integers(20, 1000),
        side=st.none() | st.integers(50, 512).map(lambda steps: 4 * steps),
        quality=st.none() | st.sampled_from(list(DATASET_TIERS)),
    )
    def test_never_has_more_pixels_than_are_paid(
        self, views: int | None, side: int | None, quality: str | None
    ) -> None:
        """And the settings mean the same once they are stored."""
        try:
            settings = ordered(views=views, size=side, datasetQuality=quality)
        except InvalidSettings:
            return
        size = settings.dataset_size
        tier = DATASET_TIERS[size.quality]
        assert size.views * size.side**2 <= tier.views * tier.side**2
        assert parse(json.loads(json.dumps(settings.to_wire()))) == settings


class TestSpec:
    def test_has_the_views_that_were_ordered(self) -> None:
        settings = ordered(views=40, size=400, elevations=[-30, 10], radius=5, split=4, formats=["all"])
        spec = dataset(SHA256, settings, Settings())
        assert (spec.tier, spec.views, spec.side, spec.coverage, spec.split) == ("100x800", 40, 400, "sphere", 4)
        positions = np.array([each[:3, 3] for each in spec.poses()])
        assert np.linalg.norm(positions, axis=1) == pytest.approx(5)
        elevations = np.degrees(np.arcsin(positions[:, 2] / 5))
        assert (elevations.min(), elevations.max()) == (pytest.approx(-30, abs=1.5), pytest.approx(10, abs=1.5))

    @pytest.mark.parametrize(("scale", "samples"), [(1, 6), (0.25, 6), (0.125, 24), (0.05, 150)])
    def test_has_more_samples_where_pixels_are_few(self, scale: float, samples: int) -> None:
        """Of 100x100, 24 samples have 36.7 dB against a thousand, 6 had 33.3 (product.glb)."""
        assert dataset(SHA256, ordered(), Settings(scale=scale, samples=None)).samples == samples
        assert dataset(SHA256, ordered(), Settings(scale=scale, samples=3)).samples == 3

    def test_differs_for_every_field(self) -> None:
        fields: list[dict[str, Any]] = [
            {},
            {"views": 50},
            {"size": 400},
            {"elevations": [0, 50]},
            {"radius": 4},
            {"split": 9},
            {"cameras": [FRONT] * 100},
            {"formats": ["colmap"]},
        ]
        assert len({dataset(SHA256, ordered(**each), Settings()).digest for each in fields}) == len(fields)

    def test_survives_storage(self) -> None:
        spec = dataset(SHA256, ordered(cameras=[FRONT] * 3, formats=["all"]), Settings())
        assert type(spec)(**json.loads(json.dumps(spec.to_json()))) == spec


class TestCameras:
    def test_may_be_the_transforms_of_an_earlier_set(self) -> None:
        poses = [pose(Direction(azimuth, 20), 800) for azimuth in range(0, 360, 15)]
        names = [f"images/{number:04d}.png" for number in range(len(poses))]
        file = json.loads(json.dumps(dataset_cameras.transforms(names, poses, 800, Range(2, 4), {})))
        spec = dataset(SHA256, ordered(cameras=file), Settings())
        assert spec.views == len(poses)
        assert np.abs(np.array(spec.poses()) - poses).max() < 1e-12

    def test_have_the_lens_of_all_datasets(self) -> None:
        assert math.tan(cameras.HALF_VIEW) == pytest.approx(0.5 / focal(1))

    @pytest.mark.parametrize("digits", [5, 8])
    def test_may_be_rounded(self, digits: int) -> None:
        matrices = [np.round(pose(Direction(azimuth, 33), 800), digits).tolist() for azimuth in range(0, 360, 7)]
        assert ordered(cameras=matrices).cameras == matrices

    @pytest.mark.parametrize("place", [(0, -1.05, 0), (0, -60, 0), (2.3, -4, 0), (-1, -4, 1.5)])
    def test_may_stand_anywhere_with_the_model_in_view(self, place: tuple[float, float, float]) -> None:
        assert ordered(cameras=[moved(*place)]).cameras == [moved(*place)]


LIST = "a list of 1 to 1000 matrices of 4 rows of 4 numbers, or the content of a transforms.json"
NOT_RIGID = "cameras[1] is not rigid: it must be a rotation and a position, above the row 0, 0, 0, 1"
AWAY = "cameras[1] looks away from the model: the sphere of radius 1 around the origin is not in its view along -Z"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"views": 19}, "views is 19, but must be an integer from 20 to 1000"),
        ({"views": 1001}, "views is 1001, but must be an integer from 20 to 1000"),
        ({"views": True}, "views is true, but must be an integer from 20 to 1000"),
        ({"size": 199}, "size is 199, but must be an integer from 200 to 2048, a multiple of 4"),
        ({"size": 2052}, "size is 2052, but must be an integer from 200 to 2048, a multiple of 4"),
        ({"size": 402}, "size is 402, but must be an integer from 200 to 2048, a multiple of 4"),
        (
            {"views": 401, "size": 2048},
            "views does not fit: 401 views of 2048x2048 have more pixels than 400x2048, "
            "which has room for 400 of that size",
        ),
        (
            {"datasetQuality": "100x800", "size": 1024},
            "size does not fit: 100 views of 1024x1024 have more pixels than 100x800, "
            "which has room for 61 of that size",
        ),
        (
            {"datasetQuality": "100x800", "cameras": [FRONT] * 101},
            "cameras does not fit: 101 views of 800x800 have more pixels than 100x800, "
            "which has room for 100 of that size",
        ),
        (
            {"elevations": [89.9999999, 90]},
            "elevations has 90 before 90, but must have the lowest first, and the highest at least 1 above it",
        ),
        (
            {"cameras": {"camera_angle_x": 10**400, "frames": []}},
            "cameras.camera_angle_x must be 0.6911, the lens of all datasets",
        ),
        ({"elevations": [10]}, "elevations is [10], but must be a list of two numbers from -90 to 90"),
        ({"elevations": [0, 91]}, "elevations has 91, but must be a list of two numbers from -90 to 90"),
        (
            {"elevations": [40, 40]},
            "elevations has 40 before 40, but must have the lowest first, and the highest at least 1 above it",
        ),
        (
            {"elevations": [-5, 40], "coverage": "hemisphere"},
            'elevations begins at -5, below the horizon: send "coverage": "sphere" as well',
        ),
        ({"radius": 1.4}, "radius is 1.4, but must be a number from 1.5 to 20"),
        ({"radius": 21}, "radius is 21, but must be a number from 1.5 to 20"),
        ({"split": 1}, "split is 1, but must be an integer from 2 to 100"),
        ({"cameras": []}, f"cameras is [], but must be {LIST}"),
        ({"cameras": {"frames": []}}, f"cameras is [], but must be {LIST}"),
        ({"cameras": {"w": 800}}, f'cameras is {{"w": 800}}, but must be {LIST}'),
        ({"cameras": {"frames": [{"file_path": "a"}]}}, f"cameras has null, but must be {LIST}"),
        ({"cameras": [FRONT] * 1001, "size": 200}, f"cameras is {str([FRONT] * 9)[:57]}..., but must be {LIST}"),
        ({"cameras": [FRONT, FRONT[:3]]}, f"cameras has {json.dumps(FRONT[:3])}, but must be {LIST}"),
        ({"cameras": [[[1, 2, 3, "4"]] * 4]}, f'cameras has "4", but must be {LIST}'),
        ({"cameras": [FRONT, [*FRONT[:3], [0, 0, 0, 2]]]}, NOT_RIGID),
        ({"cameras": [FRONT, [[1.01, 0, 0, 0], *FRONT[1:]]]}, NOT_RIGID),
        ({"cameras": [FRONT, [[-1, 0, 0, 0], *FRONT[1:]]]}, NOT_RIGID),
        ({"cameras": [FRONT, [[0, 0, 0, 0], *FRONT[1:]]]}, NOT_RIGID),
        ({"cameras": [FRONT, [[1e200, 0, 0, 0], *FRONT[1:]]]}, NOT_RIGID),
        ({"cameras": [FRONT, moved(0, 4, 0)]}, AWAY),
        ({"cameras": [FRONT, moved(0, 1.1, 0)]}, AWAY),
        ({"cameras": [FRONT, moved(2.6, -4, 0)]}, AWAY),
        ({"cameras": [FRONT, moved(0, -4, -2.6)]}, AWAY),
        ({"cameras": [FRONT, moved(0, -1, 0)]}, "cameras[1] is 1 from the origin, but must be 1.05 to 60"),
        ({"cameras": [FRONT, moved(0, -61, 0)]}, "cameras[1] is 61 from the origin, but must be 1.05 to 60"),
        (
            {"cameras": {"camera_angle_x": 0.8, "frames": [{"transform_matrix": FRONT}]}},
            "cameras.camera_angle_x must be 0.6911, the lens of all datasets",
        ),
        ({"cameras": [FRONT], "views": 20}, "views does not go with cameras, which say it: leave it out"),
        ({"cameras": [FRONT], "radius": 4}, "radius does not go with cameras, which say it: leave it out"),
        ({"cameras": [FRONT], "elevations": [0, 9]}, "elevations does not go with cameras, which say it: leave it out"),
    ],
)
def test_refuses_views_that_cannot_be_drawn(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        ordered(**fields)
    assert refused.value.message == f"renderSettings.{message}"


@pytest.mark.parametrize("views", ["a" * 1000, [1] * 1000, 1.5, 10**400, True])
@pytest.mark.parametrize("size", ["b", [2], 2e200, 10**400, 2.5])
def test_refuses_what_cannot_be_reckoned_with(views: Any, size: Any) -> None:
    for fields in ({"views": views}, {"size": size}, {"views": views, "size": size}):
        with pytest.raises(InvalidSettings):
            ordered(**fields)
        with pytest.raises(ValidationError):
            price_of({"output": "dataset", **fields})


@pytest.mark.parametrize("field", ["views", "size", "elevations", "radius", "split", "cameras", "formats"])
def test_refuses_fields_of_datasets_for_videos(field: str) -> None:
    good = {
        "views": 30,
        "size": 400,
        "elevations": [0, 9],
        "radius": 3,
        "split": 4,
        "cameras": [FRONT],
        "formats": ["all"],
    }
    with pytest.raises(InvalidSettings, match=f"renderSettings.{field} belongs to datasets"):
        parse({field: good[field]})

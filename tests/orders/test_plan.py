"""Shots and chunks derived from render settings."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import RenderSettings
from farm.settings import Settings
from farm.tiers import TIERS

SETTINGS = Settings(fps=30, scale=1, samples=None)


def spec(render_settings: RenderSettings | None = None, *, preview: bool = False, **settings: Any) -> ShotSpec:
    return plan.shot(
        "a" * 64, render_settings or RenderSettings(), SETTINGS.model_copy(update=settings), preview=preview
    )


class TestFrameSize:
    @pytest.mark.parametrize(
        ("quality", "aspect", "size"),
        [
            ("share", "16:9", (960, 540)),
            ("standard", "16:9", (1920, 1080)),
            ("4k", "16:9", (3840, 2160)),
            ("pro", "16:9", (3840, 2160)),
            ("share", "1:1", (540, 540)),
            ("standard", "9:16", (1080, 1920)),
        ],
    )
    def test_matches_the_reference(self, quality: Any, aspect: Any, size: tuple[int, int]) -> None:
        shot = spec(RenderSettings(quality=quality, aspect=aspect))
        assert (shot.width, shot.height) == size

    @given(st.sampled_from(sorted(product(TIERS, plan.ASPECT_RATIOS))), st.floats(0.05, 1))
    def test_is_even_and_keeps_its_aspect_at_any_scale(self, pair: tuple[str, Any], scale: float) -> None:
        tier, aspect = pair
        width, height = plan.frame_size(tier, aspect, scale)
        across, up = plan.ASPECT_RATIOS[aspect]
        assert width % 2 == height % 2 == 0
        assert min(width, height) >= 2
        assert abs(width * up - height * across) <= across + up


class TestFrames:
    @pytest.mark.parametrize(("length", "fps", "frames"), [(6, 30, 180), (4.7, 30, 141), (3.3, 1, 3), (3.7, 1, 4)])
    def test_follow_from_the_length_and_the_frame_rate(self, length: float, fps: int, frames: int) -> None:
        assert spec(RenderSettings(length=length), fps=fps).frames == frames

    @given(st.floats(3, 600), st.integers(1, 120))
    def test_differ_from_the_length_by_half_a_frame_at_most(self, length: float, fps: int) -> None:
        assert abs(spec(RenderSettings(length=length), fps=fps).frames - length * fps) <= 0.5

    def test_have_one_pose_each(self) -> None:
        shot = spec(RenderSettings(length=3))
        assert len(shot.poses()) == shot.frames == 90


class TestChunks:
    @given(st.integers(1, 5000), st.integers(1, 60), st.floats(1e-3, 1e3), st.integers(0, 200))
    def test_cover_every_frame_once_in_whole_gops(self, frames: int, gop: int, took: float, nodes: int) -> None:
        ranges = plan.chunks(frames, gop, took, nodes, 60.0)
        assert [frame for part in ranges for frame in part] == list(range(frames))
        assert all(part.start % gop == 0 and part for part in ranges)

    def test_are_one_per_node_for_fast_frames(self) -> None:
        assert [len(part) for part in plan.chunks(180, 30, 1.0, 3, 60.0)] == [60, 60, 60]

    def test_are_never_too_short_for_their_start(self) -> None:
        assert plan.chunks(180, 30, 0.01, 100, 60.0) == [range(180)]

    def test_are_short_for_slow_frames(self) -> None:
        assert [len(part) for part in plan.chunks(180, 30, 1.0, 1, 60.0)] == [60, 60, 60]
        assert [len(part) for part in plan.chunks(90, 30, 20.0, 1, 60.0)] == [30, 30, 30], "a GOP is the minimum"


class TestPreview:
    def test_is_small_and_has_few_frames(self) -> None:
        preview = spec(RenderSettings(length=3), preview=True)
        assert (preview.height, preview.fps, preview.frames) == (180, 10, 30)

    def test_never_exceeds_the_frame_rate_of_the_farm(self) -> None:
        assert spec(preview=True, fps=5).fps == 5


class TestDigest:
    def test_is_equal_for_equal_pixels(self) -> None:
        assert spec().digest == spec().digest

    def test_ignores_settings_applied_after_rendering(self) -> None:
        after = RenderSettings(bg_color="#123456", bg_image_id="Ab3kF9x2qL1m", bg_align="center", vignette=1)
        assert spec(after).digest == spec().digest

    @pytest.mark.parametrize("field", list(ShotSpec.__dataclass_fields__))
    def test_changes_with_every_field(self, field: str) -> None:
        other: Any = {"zoom": 1.5, "easing": False, "shadows": False}.get(field, 7)
        assert replace(spec(), **{field: other}).digest != spec().digest

    def test_survives_the_database(self) -> None:
        assert ShotSpec(**spec().to_json()) == spec()

"""The sheet of a camera path: stills, track, badges and charts for all paths and settings."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic.alias_generators import to_camel

from camera_paths import PATHS
from farm import path_sheet
from farm.orders.render_settings import RenderSettings, parse
from farm.path_sheet.charts import AZIMUTH, DISTANCE, SIZE, Quantity, axis
from farm.path_sheet.plan_view import BADGE, SUBJECT, lay_out, overlaps_itself
from farm.path_sheet.samples import Sample
from tests.camera_paths.strategies import numbers

GREEN = (0, 200, 0)


def sheet(render_settings: RenderSettings) -> Image.Image:
    stills = [Image.new("RGB", (path_sheet.STILL_SIZE,) * 2, GREEN) for _ in path_sheet.times(render_settings)]
    return path_sheet.draw_sheet(render_settings, stills)


def requests(effect: str) -> st.SearchStrategy[RenderSettings]:
    """Render settings of an effect, with any of its own fields."""
    own = {to_camel(name): numbers(name) for name in PATHS[effect].options}
    common = {"length": numbers("length"), "easing": st.booleans(), "rotateY": st.integers(-180, 180)}
    return st.fixed_dictionaries({"effect": st.just(effect)}, optional=common | own).map(parse)


@pytest.mark.parametrize("effect", PATHS)
@given(data=st.data())
@settings(max_examples=3)
def test_shows_eight_stills_for_any_settings(effect: str, data: st.DataObject) -> None:
    picture = np.asarray(sheet(data.draw(requests(effect))).convert("RGB")).astype(int)
    assert picture.shape == (path_sheet.HEIGHT, path_sheet.WIDTH, 3)
    green = np.abs(picture - GREEN).sum(axis=2) < 12
    assert green.sum() == 8 * path_sheet.STILL_SIZE**2


@pytest.mark.parametrize(("effect", "last"), [("turntable", 7 / 8), ("reveal", 1.0)])
def test_ends_its_times_at_1_or_before_a_loop_repeats(effect: str, last: float) -> None:
    samples = path_sheet.times(parse({"effect": effect}))
    assert (len(samples), samples[0], samples[-1]) == (8, 0, last)


@pytest.mark.parametrize(
    ("effect", "render_settings", "covers"),
    [
        ("turntable", {}, False),
        ("zoom-orbit", {}, False),
        ("reveal", {}, False),
        ("reveal", {"sweep_angle": 400.0}, True),
        ("hero-spin", {}, True),
        ("showcase", {}, True),
    ],
)
def test_detects_a_track_that_overlaps_itself(effect: str, render_settings: dict[str, float], covers: bool) -> None:
    curve = [PATHS[effect].pose(step / 100, **render_settings) for step in range(101)]
    assert overlaps_itself(curve) is covers


@pytest.mark.parametrize("effect", PATHS)
def test_places_badges_apart_and_off_the_subject(effect: str) -> None:
    path, centre, size = PATHS[effect], (300.0, 300.0), 548.0
    curve = [path.pose(step / 480) for step in range(481)]
    samples = [Sample(number, t, path.pose(t)) for number, t in enumerate(path_sheet.times(parse({"effect": effect})))]
    badges = lay_out(curve, samples, centre, size).badges
    assert min(math.dist(one, other) for one, other in combinations(badges, 2)) > 2 * BADGE
    assert min(math.dist(badge, centre) for badge in badges) > SUBJECT * size + BADGE


@given(low=st.floats(-1080, 1080), length=st.floats(0, 1080), quantity=st.sampled_from([AZIMUTH, DISTANCE, SIZE]))
def test_spans_all_values_between_round_ends_of_an_axis(low: float, length: float, quantity: Quantity) -> None:
    bottom, top, step = axis(low, low + length, quantity)
    assert bottom <= low + 1e-5 * step
    assert top >= low + length - 1e-5 * step
    assert bottom / step == pytest.approx(round(bottom / step), abs=1e-6)
    assert (top - bottom) >= quantity.span - 1e-6


def test_adds_a_chart_for_a_subject_that_grows() -> None:
    grows, stays = (np.asarray(sheet(parse({"effect": name})).convert("L")) for name in ("reveal", "hero-spin"))
    column = slice(724, 784)  # of the charts' titles
    assert count_lines(grows[180:700, column]) > count_lines(stays[180:700, column])


def count_lines(part: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> int:
    """The number of text lines in a part of the sheet."""
    dark = (part < 120).any(axis=1)
    return int((dark[1:] & ~dark[:-1]).sum())

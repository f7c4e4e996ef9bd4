"""Frames do not know which chunk they were drawn in, nor whether they were drawn or kept."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from farm.blender.client import Blender, BlenderHost
from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import parse
from farm.rendering.frame_cache import FrameCache
from farm.rendering.production import draw_frames, shot_setup
from farm.scene.shot import Frame
from farm.settings import Settings
from farm.video import backgrounds
from farm.video.composite import Compositor
from farm.video.cutout import Cutout
from tests.support.assets import ASSETS

pytestmark = pytest.mark.slow

CASES = [
    ("product.glb", {"quality": "share", "reflector": True}),
    ("walker.glb", {"quality": "pro", "animation": "Walk"}),
    ("draco.glb", {"quality": "share", "effect": "reveal", "scaleFrom": 0.4}),
]
FRAMES = 6


def order(model: str, settings: dict[str, object]) -> ShotSpec:
    digest = hashlib.sha256((ASSETS / model).read_bytes()).hexdigest()
    spec = plan.shot(digest, parse({"length": 3, **settings}), Settings(fps=2, samples=2))
    return replace(spec, width=96, height=54)


def encoders_see(spec: ShotSpec, frames: Iterator[Frame]) -> list[str]:
    """A digest of every frame as it goes into the encoders."""
    over = Compositor(backgrounds.plain((255, 255, 255), spec.width, spec.height), 0.0)
    cut = Cutout(spec.width, spec.height, 0.0)
    return [hashlib.sha256(over.over(each).tobytes() + cut.of(each).tobytes()).hexdigest() for each in frames]


def drawn(folder: Path, model: str, spec: ShotSpec, numbers: range, cache: FrameCache | None = None) -> list[str]:
    """By a Blender of their own, as on another node."""
    folder.mkdir()
    with BlenderHost(folder) as host, Blender(host.socket_path, 300) as blender:
        shot = shot_setup(spec, ASSETS / model, "cycles")
        return encoders_see(spec, draw_frames(blender, shot, spec, numbers, cache, folder))


@pytest.mark.parametrize(("model", "settings"), CASES)
def test_frames_of_chunks_are_those_of_one_that_draws_all(
    tmp_path: Path, model: str, settings: dict[str, object]
) -> None:
    spec = order(model, settings)
    alone = drawn(tmp_path / "alone", model, spec, range(FRAMES))
    assert len(set(alone)) == FRAMES, "they all differ"
    parts = [drawn(tmp_path / f"{part.start}", model, spec, part) for part in (range(2), range(2, 5), range(5, 6))]
    assert list(itertools.chain(*parts)) == alone


@pytest.mark.parametrize(("model", "settings"), CASES)
def test_kept_frames_are_those_that_were_drawn(tmp_path: Path, model: str, settings: dict[str, object]) -> None:
    spec = order(model, settings)
    cache = FrameCache(tmp_path / "cache", 10**9, spec, "cycles")
    some = drawn(tmp_path / "some", model, spec, range(1, 4), cache)
    every = drawn(tmp_path / "every", model, spec, range(FRAMES), cache)
    assert every[1:4] == some
    nobody = Blender.__new__(Blender)  # whoever asked it to draw would fail
    kept = encoders_see(
        spec, draw_frames(nobody, shot_setup(spec, Path(), "cycles"), spec, range(FRAMES), cache, tmp_path)
    )
    assert kept == every
    assert not list(tmp_path.glob("kept-*-0")), "their files go as they are used"


def test_a_shot_that_is_open_stays_open(blender: Blender) -> None:
    spec = order("draco.glb", {"quality": "share"})
    shot = shot_setup(spec, ASSETS / "draco.glb", "cycles")
    first = encoders_see(spec, draw_frames(blender, shot, spec, range(2)))
    again = encoders_see(spec, draw_frames(blender, shot, spec, range(2)))
    other = encoders_see(spec, draw_frames(blender, replace(shot, shadows=False), spec, range(2)))
    assert first == again
    assert first != other

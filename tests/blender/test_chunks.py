"""A frame has the same pixels in any chunk, whether it was drawn or loaded from the cache."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
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


def digests(spec: ShotSpec, frames: Iterator[Frame]) -> list[str]:
    """A digest of every frame as the encoders receive it."""
    over = Compositor(backgrounds.plain((255, 255, 255), spec.width, spec.height), 0.0)
    cut = Cutout(spec.width, spec.height, 0.0)
    return [hashlib.sha256(over.over(each).tobytes() + cut.of(each).tobytes()).hexdigest() for each in frames]


def drawn(folder: Path, model: str, spec: ShotSpec, numbers: range, cache: FrameCache | None = None) -> list[str]:
    """Digests of frames drawn by a new Blender, as on another node."""
    folder.mkdir()
    with BlenderHost(folder) as host, Blender(host.socket_path, 300) as blender:
        shot = shot_setup(spec, ASSETS / model, "cycles")
        return digests(spec, draw_frames(blender, shot, spec, numbers, cache, folder))


@pytest.mark.parametrize(("model", "settings"), CASES)
def test_draws_and_caches_the_same_frames_in_any_chunk(tmp_path: Path, model: str, settings: dict[str, object]) -> None:
    spec = order(model, settings)
    cache = FrameCache(tmp_path / "cache", 10**9, spec, "cycles")
    alone = drawn(tmp_path / "alone", model, spec, range(FRAMES))
    assert len(set(alone)) == FRAMES, "all frames differ"
    assert drawn(tmp_path / "chunk", model, spec, range(1, 4), cache) == alone[1:4]
    assert drawn(tmp_path / "rest", model, spec, range(FRAMES), cache) == alone, "three drawn, three from the cache"
    unconnected = Blender.__new__(Blender)  # any request to it would fail
    shot = shot_setup(spec, Path(), "cycles")
    assert digests(spec, draw_frames(unconnected, shot, spec, range(FRAMES), cache, tmp_path)) == alone
    assert not list(tmp_path.glob("cached-*-0")), "a frame's files are removed after use"


def test_draws_the_same_frames_in_a_shot_that_is_already_open(blender: Blender) -> None:
    spec = order("draco.glb", {"quality": "share"})
    shot = shot_setup(spec, ASSETS / "draco.glb", "cycles")
    first = digests(spec, draw_frames(blender, shot, spec, range(2)))
    again = digests(spec, draw_frames(blender, shot, spec, range(2)))
    other = digests(spec, draw_frames(blender, replace(shot, shadows=False), spec, range(2)))
    assert first == again
    assert first != other

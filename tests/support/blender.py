"""A Blender host shared by the whole session, and a process in which code that needs bpy can be called."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from camera_paths import Pose
from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.scene.shot import Engine, Frame, ShadowMap, ShotSetup
from tests.support.assets import ASSETS

TIMEOUT_SECONDS = 300.0  # EEVEE's first frame without a GPU compiles its shaders on the CPU
P = ParamSpec("P")
R = TypeVar("R")


def shot(
    model: str | Path,
    *,
    size: tuple[int, int] = (96, 54),
    samples: int = 1,
    engine: Engine = "cycles",
    shadows: bool = False,
) -> ShotSetup:
    """A small, coarse shot of a sample model or of a file."""
    return ShotSetup(str(ASSETS / model), str(templates.blend("studio")), *size, samples, engine, shadows)


@dataclass(frozen=True)
class Drawing:
    """A drawn frame and its RGBA pixels: cropped, as the host wrote them, and on the whole frame."""

    frame: Frame
    pixels: NDArray[np.uint8]
    whole: NDArray[np.uint8]


def draw_frames(host: BlenderHost, shot: ShotSetup, *azimuths: float) -> list[Drawing]:
    """Draw the shot's frames at these azimuths."""
    with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
        blender.open_shot(shot)
        return [_load(frame, shot) for frame in blender.frames(enumerate(map(Pose, azimuths)))]


def draw_frame(
    blender: Blender, shot: ShotSetup, azimuth: float = 0.0, radius: float = 1.0
) -> tuple[Frame, NDArray[np.uint8]]:
    """Draw one frame; returns it and its pixels on the full frame: (height, width, 4)."""
    blender.open_shot(shot)
    [drawing] = [_load(frame, shot) for frame in blender.frames([(0, Pose(azimuth, radius))])]
    return drawing.frame, drawing.whole


def bake(host: BlenderHost, shot: ShotSetup) -> tuple[ShadowMap, NDArray[np.float32]]:
    """Bake the shot's shadow; returns it with its opacities."""
    with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
        blender.open_shot(shot)
        [frame] = blender.frames([(0, Pose(0))])
    shadow = frame.shadow
    assert shadow
    return shadow, np.load(shadow.path)


def _load(frame: Frame, shot: ShotSetup) -> Drawing:
    layer = frame.subject
    pixels = np.fromfile(layer.path, dtype=np.uint8).reshape(layer.height, layer.width, 4)
    whole = np.zeros((shot.height, shot.width, 4), dtype=np.uint8)
    whole[layer.y : layer.y + layer.height, layer.x : layer.x + layer.width] = pixels
    return Drawing(frame, pixels, whole)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlenderHost]:
    """A running host for tests that do not break it."""
    host = BlenderHost(tmp_path_factory.mktemp("host"))
    host.start()
    yield host
    host.stop()


@pytest.fixture
def own_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlenderHost]:
    """A running host of the test's own, to break."""
    host = BlenderHost(tmp_path_factory.mktemp("own_host"))
    host.start()
    yield host
    host.stop()


def process_of(host: BlenderHost) -> psutil.Process:
    """The host's process, found by its command line."""
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    [process] = [child for child in children if str(host.socket_path) in child.cmdline()]
    return process


class InsideBlender:
    """Calls functions in a process that may import bpy; the tests' own process must not."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._pool.submit(function, *args, **kwargs).result(TIMEOUT_SECONDS)


@pytest.fixture(scope="session")
def inside() -> Iterator[InsideBlender]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield InsideBlender(pool)


@pytest.fixture
def blender(host: BlenderHost) -> Iterator[Blender]:
    """A connection to the session's host."""
    host.ensure_ready()
    with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
        yield blender

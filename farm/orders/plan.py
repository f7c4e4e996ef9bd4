"""From what a client asked to what is drawn: renders -> shots -> chunks. Pure functions."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from camera_paths import PATHS, Pose
from farm import templates
from farm.orders.render_settings import Aspect, RenderSettings
from farm.settings import Settings
from farm.tiers import TIERS

ASPECT_RATIOS: dict[Aspect, tuple[int, int]] = {"16:9": (16, 9), "1:1": (1, 1), "9:16": (9, 16)}
PREVIEW_FPS = 10
MIN_CHUNK_SECONDS = 10.0  # of drawing: what a chunk must take to be worth the opening of its shot
MAX_CONCURRENT_PIXELS, MAX_VARIANTS = 8 * 1920 * 1080, 16  # about 2 GB of encoders


@dataclass(frozen=True)
class ShotSpec:
    """Everything that decides a shot's pixels, as it is kept in the database.

    `template_version` tells one state of the template's files from the next; `tier` picks the template's samples;
    `samples` overrides them. Sizes are pixels of the delivered video.
    `path_options` are the effect's own settings, by the camera path's parameter names.
    """

    model_sha256: str
    template: str
    template_version: str
    tier: str
    samples: int | None
    width: int
    height: int
    frames: int
    fps: int
    effect: str
    path_options: dict[str, float]
    easing: bool
    rotate_y: float
    zoom: float
    shadows: bool
    reflector: bool = False
    animation: str | None = None
    animation_speed: float = 1.0
    tilt_x: int = 0
    pan_x: int = 0
    roll_z: int = 0

    @property
    def digest(self) -> str:
        """The address of these pixels: equal specs draw equal frames."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def min_chunk_frames(self) -> int:
        """Frames that only one chunk can draw: those of a GOP."""
        return self.fps

    @property
    def max_renders(self) -> int:
        """How many renders may share the shot."""
        return max_variants(self.width, self.height)

    def poses(self) -> list[Pose]:
        """Where the camera stands, frame by frame."""
        path = PATHS[self.effect]
        return path.poses(self.frames, easing=self.easing, rotate_y=self.rotate_y, zoom=self.zoom, **self.path_options)


def shot(model_sha256: str, render: RenderSettings, settings: Settings, *, preview: bool = False) -> ShotSpec:
    """The shot of one render. A preview is the same picture, small and with fewer frames a second."""
    tier = "preview" if preview else render.quality
    width, height = frame_size(tier, render.aspect, settings.scale)
    fps = min(PREVIEW_FPS, settings.fps) if preview else settings.fps
    return ShotSpec(
        model_sha256=model_sha256,
        template=render.scene,
        template_version=templates.version(render.scene),
        tier=tier,
        samples=settings.samples,
        width=width,
        height=height,
        frames=max(round(render.length * fps), 1),
        fps=fps,
        effect=render.effect,
        path_options=render.path_options,
        easing=render.easing,
        rotate_y=render.rotate_y,
        zoom=render.zoom,
        shadows=render.shadows,
        reflector=render.reflector,
        animation=render.animation,
        animation_speed=render.animation_speed,
        tilt_x=render.tilt_x,
        pan_x=render.pan_x,
        roll_z=render.roll_z,
    )


def frame_size(tier: str, aspect: Aspect, scale: float = 1.0) -> tuple[int, int]:
    """Width and height in pixels: the tier's short side, the aspect's shape, both even as 4:2:0 video needs."""
    across, up = ASPECT_RATIOS[aspect]
    unit = TIERS[tier].short_side / min(across, up) * scale
    return even(across * unit), even(up * unit)


def even(length: float) -> int:
    """The even whole number nearest to `length`, at least 2."""
    return max(2 * round(length / 2), 2)


def chunks(frames: int, gop: int, seconds_per_frame: float, nodes: int, max_seconds: float) -> list[range]:
    """The frame ranges that a shot is worked off in, each of whole GOPs of `gop` frames (the last as long as it gets).

    They are as many as there are `nodes`, where that gives each enough to do to be worth its start, and more where a
    chunk would otherwise take longer than `max_seconds`: much to draw again when a node dies, and long to wait for.
    """
    gop_seconds = gop * seconds_per_frame
    gops = -(-frames // gop)
    worth_it = max(math.ceil(MIN_CHUNK_SECONDS / gop_seconds), 1)
    spread = max(-(-gops // max(nodes, 1)), worth_it)
    length = gop * max(min(spread, int(max_seconds / gop_seconds)), 1)
    return [range(start, min(start + length, frames)) for start in range(0, frames, length)]


def max_variants(width: int, height: int) -> int:
    """How many renders may share one shot: each needs compositing and encoders of its own, in memory side by side."""
    return min(max(MAX_CONCURRENT_PIXELS // (width * height), 1), MAX_VARIANTS)


def estimated_seconds_per_frame(width: int, height: int) -> float:
    """How long a frame takes before any was measured: a processor of two cores, about."""
    return width * height * 4e-6

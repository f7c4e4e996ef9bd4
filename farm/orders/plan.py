"""From a render's settings to its shot and the shot's chunks. Pure functions."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from camera_paths import Pose
from farm import templates
from farm.orders.effects import PATHS
from farm.orders.render_settings import Aspect, RenderSettings
from farm.settings import Settings
from farm.tiers import TIERS

ASPECT_RATIOS: dict[Aspect, tuple[int, int]] = {"16:9": (16, 9), "1:1": (1, 1), "9:16": (9, 16)}
PREVIEW_FPS = 10
FIT_STEPS = 180  # of a camera path: 3 degrees of a hero-spin of one and a half turns
MIN_CHUNK_SECONDS = 10.0  # of rendering: makes up for the cost of opening the shot
MAX_CONCURRENT_PIXELS, MAX_VARIANTS = 8 * 1920 * 1080, 16  # the encoders then need about 2 GB


@dataclass(frozen=True)
class ShotSpec:
    """Everything that determines a shot's pixels, as stored in the database.

    `template_version`: hash of the template's files. `tier` selects the template's samples, `samples` overrides them.
    `width` and `height`: pixels of the delivered video. `path_options`: the effect's own settings, by the camera path's
    parameter names.
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
        """Content address of the frames: equal specs produce equal frames."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def min_chunk_frames(self) -> int:
        """Smallest number of frames in a chunk: one GOP."""
        return self.fps

    @property
    def poster_frame(self) -> int:
        """Number of the frame that is the poster: where the camera path does not loop, the last, which it leads to."""
        return 0 if PATHS[self.effect].loops else self.frames - 1

    @property
    def max_renders(self) -> int:
        """Number of renders that may share the shot."""
        return max_variants(self.width, self.height)

    def poses(self) -> list[Pose]:
        """The pose of the camera for each frame."""
        path = PATHS[self.effect]
        return path.poses(self.frames, easing=self.easing, rotate_y=self.rotate_y, zoom=self.zoom, **self.path_options)

    def fit_path(self) -> list[Pose]:
        """Evenly spaced poses of the camera path at zoom 1, to which the camera's distance is fitted."""
        path = PATHS[self.effect]
        options = {"easing": self.easing, "rotate_y": self.rotate_y, "zoom": 1.0, **self.path_options}
        return [path.pose(step / FIT_STEPS, **options) for step in range(FIT_STEPS + 1)]


def shot(model_sha256: str, render: RenderSettings, settings: Settings, *, preview: bool = False) -> ShotSpec:
    """The shot of one render. A preview shows the same at a small size and frame rate."""
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
    """Width and height in pixels for the tier's short side and the aspect ratio; both even, as 4:2:0 video requires."""
    ratio_width, ratio_height = ASPECT_RATIOS[aspect]
    unit = TIERS[tier].short_side / min(ratio_width, ratio_height) * scale
    return even(ratio_width * unit), even(ratio_height * unit)


def even(length: float) -> int:
    """The even integer nearest to `length`, at least 2."""
    return max(2 * round(length / 2), 2)


def chunks(frames: int, gop: int, seconds_per_frame: float, nodes: int, max_seconds: float) -> list[range]:
    """Split a shot into frame ranges of whole GOPs of `gop` frames; the last GOP may be shorter.

    There is one chunk per node, but fewer where chunks would take less than MIN_CHUNK_SECONDS, and more where they
    would take longer than `max_seconds`: a long chunk is expensive to repeat when its node dies.
    """
    gop_seconds = gop * seconds_per_frame
    gops = -(-frames // gop)
    min_gops = max(math.ceil(MIN_CHUNK_SECONDS / gop_seconds), 1)
    gops_per_node = max(-(-gops // max(nodes, 1)), min_gops)
    length = gop * max(min(gops_per_node, int(max_seconds / gop_seconds)), 1)
    return [range(start, min(start + length, frames)) for start in range(0, frames, length)]


def max_variants(width: int, height: int) -> int:
    """Number of renders that may share one shot: each needs its own compositing and encoders in memory."""
    return min(max(MAX_CONCURRENT_PIXELS // (width * height), 1), MAX_VARIANTS)


def estimated_seconds_per_frame(width: int, height: int) -> float:
    """Render time per frame before any was measured: roughly that of a CPU with two cores."""
    return width * height * 4e-6

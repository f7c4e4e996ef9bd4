"""The specification of a dataset, derived from its render settings. Pure functions."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from farm import templates
from farm.orders.cameras import Matrix
from farm.orders.plan import even
from farm.orders.render_settings import RenderSettings
from farm.scene.shot import Engine, ShotSetup
from farm.settings import Settings
from farm.tiers import Coverage, Format

if TYPE_CHECKING:
    from farm.scene.camera import Array

ADDED_FORMATS: tuple[Format, ...] = ("colmap", "nerf-synthetic", "rgba", "metric-depth", "downscaled")
SAMPLES = 6  # per pixel, denoised: two cores render 100 views of 800x800 in 8 minutes
QUARTER = 0.25  # the scale of pictures below which samples rise


@dataclass(frozen=True)
class DatasetSpec:
    """Everything that determines a dataset's bytes except the render engine, as stored in the database.

    `tier`: the datasetQuality. `side`: pixels per side of the square images. `template_version`: hash of the template's
    files. Angles are as in farm.scene.shot.Shot. `formats` are those whose files are added to the documented layout.
    `elevations`, `radius`, `split` and `cameras` are as in farm.orders.dataset_settings.
    """

    model_sha256: str
    template: str
    template_version: str
    tier: str
    coverage: Coverage
    views: int
    side: int
    samples: int
    tilt_x: int = 0
    pan_x: int = 0
    roll_z: int = 0
    formats: list[Format] = field(default_factory=list)
    elevations: list[float] | None = None
    radius: float | None = None
    split: int | None = None
    cameras: list[Matrix] | None = None

    @property
    def digest(self) -> str:
        """Content address of the views: equal specs produce equal views."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def frames(self) -> int:
        """The number of views, under the name that the scheduler uses."""
        return self.views

    @property
    def width(self) -> int:
        return self.side

    @property
    def height(self) -> int:
        return self.side

    @property
    def min_chunk_frames(self) -> int:
        """Smallest number of views in a chunk."""
        return 1

    @property
    def max_renders(self) -> int:
        """Number of renders that may share the views: one, because each stores its own parts."""
        return 1

    def poses(self) -> "list[Array]":
        """The 4x4 camera-to-world matrix of each view, in the dataset's world."""
        from farm.scene import views  # needs numpy, which the API does without

        if self.cameras:
            return [views.rigid(each) for each in self.cameras]
        directions = views.directions(self.views, self.coverage, self.elevations)
        return [views.pose(direction, self.side, self.radius) for direction in directions]

    def shot(self, model_path: str, engine: Engine) -> ShotSetup:
        """The request to the Blender host."""
        return ShotSetup(
            model_path=model_path,
            template=str(templates.blend(self.template)),
            width=self.side,
            height=self.side,
            samples=self.samples,
            engine=engine,
            shadows=False,
            tilt_x=self.tilt_x,
            pan_x=self.pan_x,
            roll_z=self.roll_z,
        )


def dataset(model_sha256: str, request: RenderSettings, settings: Settings) -> DatasetSpec:
    """The specification of the dataset that `request` describes."""
    assert request.coverage, "parsing fills in a dataset's coverage"
    size = request.dataset_size
    return DatasetSpec(
        model_sha256=model_sha256,
        template=request.scene,
        template_version=templates.version(request.scene),
        tier=size.quality,
        coverage=request.coverage,
        views=size.views,
        side=even(size.side * settings.scale),
        samples=settings.samples or samples_at(settings.scale),
        tilt_x=request.tilt_x,
        pan_x=request.pan_x,
        roll_z=request.roll_z,
        formats=_added(request.formats or []),
        elevations=request.elevations,
        radius=request.radius,
        split=request.split,
        cameras=request.cameras,
    )


def samples_at(scale: float) -> int:
    """Samples per pixel: more where pixels are few, so that a small set is not noisy; it takes the time of QUARTER."""
    return round(SAMPLES * max(QUARTER / scale, 1.0) ** 2)


def _added(requested: Collection[Format]) -> list[Format]:
    """The formats whose files are added to those that every dataset has, each once."""
    return [each for each in ADDED_FORMATS if {each, "all"} & set(requested)]

"""From the render settings to what is drawn of a dataset. Pure functions."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from farm import templates
from farm.orders.plan import even
from farm.orders.render_settings import RenderSettings
from farm.scene.shot import Engine, ShotSetup
from farm.scene.views import Direction, directions
from farm.settings import Settings
from farm.tiers import DATASET_TIERS, Coverage

SAMPLES = 6  # a pixel, denoised: what lets two cores draw 100 views of 800x800 in 8 minutes


@dataclass(frozen=True)
class DatasetSpec:
    """Everything that decides a dataset's bytes but for the engine, as it is kept in the database.

    `tier` is the datasetQuality, `side` the pixels of its square pictures; `template_version` tells one state of the
    template's files from the next; angles are as in farm.scene.shot.Shot.
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

    @property
    def digest(self) -> str:
        """The address of these views: equal specs draw equal ones."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def frames(self) -> int:
        """The views, as the queue calls them."""
        return self.views

    @property
    def width(self) -> int:
        return self.side

    @property
    def height(self) -> int:
        return self.side

    @property
    def min_chunk_frames(self) -> int:
        """Views that only one chunk can draw."""
        return 1

    @property
    def max_renders(self) -> int:
        """How many renders may share the views: each keeps parts of its own."""
        return 1

    def directions(self) -> list[Direction]:
        """Where the camera stands, view by view."""
        return directions(self.views, self.coverage)

    def shot(self, model_path: str, engine: Engine) -> ShotSetup:
        """What the Blender host is told."""
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
    """The dataset that is asked for."""
    assert request.dataset_quality, "a dataset's settings name a tier"
    assert request.coverage, "and a coverage"
    tier = DATASET_TIERS[request.dataset_quality]
    return DatasetSpec(
        model_sha256=model_sha256,
        template=request.scene,
        template_version=templates.version(request.scene),
        tier=request.dataset_quality,
        coverage=request.coverage,
        views=tier.views,
        side=even(tier.side * settings.scale),
        samples=settings.samples or SAMPLES,
        tilt_x=request.tilt_x,
        pan_x=request.pan_x,
        roll_z=request.roll_z,
    )

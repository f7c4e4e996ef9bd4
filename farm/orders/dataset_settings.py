"""The render settings that datasets have, and their rules."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from farm.orders import cameras
from farm.orders.dataset_size import LARGEST_QUALITY, Size, TooManyPixels, fit
from farm.orders.fields import Whole, optional, violation, whole
from farm.tiers import Coverage, DatasetQuality, Format

MIN_VIEWS, MAX_VIEWS = 20, 1000
MIN_SIZE, MAX_SIZE, SIZE_STEP = 200, 2048, 4  # pixels per side; the step leaves whole pixels in images_4/
MIN_ELEVATION_RANGE_DEGREES = 1.0

Degrees = Annotated[float, Field(ge=-90, le=90)]


def _matrices(raw: Any) -> Any:
    if problem := cameras.lens_problem(raw):
        raise violation(problem)
    return cameras.from_transforms(raw)


Row = Annotated[list[Annotated[float, Field(strict=True)]], Field(min_length=4, max_length=4)]  # no booleans
Cameras = Annotated[
    list[Annotated[list[Row], Field(min_length=4, max_length=4)]] | None,
    optional(
        min_length=1,
        max_length=cameras.MAX_CAMERAS,
        description="Cameras of a dataset instead of `views`: 4x4 camera-to-world matrices in the world and the axes "
        "of transforms.json, or the content of such a file. Default: along a spiral",
        json_schema_extra=lambda schema: schema.update(cameras.SCHEMA),
    ),
    BeforeValidator(_matrices),
]
Views = Annotated[
    int | None,
    optional(ge=MIN_VIEWS, le=MAX_VIEWS, description="Number of views of a dataset. Default: that of its tier"),
    Whole,
]
SideLength = Annotated[
    int | None,
    optional(
        ge=MIN_SIZE,
        le=MAX_SIZE,
        multiple_of=SIZE_STEP,
        description=f"Pixels per side of a dataset's views, a multiple of {SIZE_STEP}. Default: that of its tier",
    ),
    Whole,
]


class DatasetSettings(BaseModel):
    """The part of the settings that is about datasets."""

    output: Annotated[
        Literal["video", "dataset"],
        Field(description="A video, or a dataset for training NeRF and Gaussian splatting"),
    ] = "video"
    dataset_quality: Annotated[
        DatasetQuality | None,
        optional(
            description="Tier of a dataset: number of views x pixels per side. Default: 100x800; with `views`, `size` "
            "or `cameras` the first tier with as many pixels in all"
        ),
    ] = None
    coverage: Annotated[
        Coverage | None,
        optional(
            description="Camera positions of a dataset: hemisphere (above) or sphere. Default: hemisphere; with "
            "`elevations` below 0, sphere"
        ),
    ] = None
    formats: Annotated[
        list[Format] | None,
        optional(
            min_length=1,
            max_length=len(get_args(Format)),
            description="Formats of a dataset: those of `nerfstudio` are in every dataset, the files of the others are "
            'added to them. Default: ["nerfstudio"]',
        ),
    ] = None
    views: Views = None
    size: SideLength = None
    elevations: Annotated[
        list[Degrees] | None,
        optional(
            min_length=2,
            max_length=2,
            description="Lowest and highest camera of a dataset, in degrees above the horizon. "
            "Default: those of its coverage",
        ),
    ] = None
    radius: Annotated[
        float | None,
        optional(
            ge=1.5,
            le=20,
            description="Distance of a dataset's cameras from the middle of the model, in radii of its bounding "
            "sphere. Default: 3.1, at which the sphere just fits the picture",
        ),
    ] = None
    split: Annotated[
        int | None,
        optional(
            ge=2,
            le=100,
            description="One in so many views of a dataset is for tests, and transforms.json says which. "
            "Default: 8, and transforms.json does not say it",
        ),
        Whole,
    ] = None
    cameras: Cameras = None

    @model_validator(mode="after")
    def _views_fit(self) -> Self:
        if self.output == "dataset" and (problem := self._problem()):
            raise violation(problem)
        return self

    def _problem(self) -> str | None:
        if self.elevations:
            lowest, highest = self.elevations
            if highest - lowest < MIN_ELEVATION_RANGE_DEGREES:
                return (
                    f"elevations has {lowest:g} before {highest:g}, but must have the lowest first,"
                    f" and the highest at least {MIN_ELEVATION_RANGE_DEGREES:g} above it"
                )
            if lowest < 0 and self.coverage == "hemisphere":
                return f'elevations begins at {lowest:g}, below the horizon: send "coverage": "sphere" as well'
        if self.cameras:
            for field in ("views", "elevations", "radius"):
                if getattr(self, field) is not None:
                    return f"{field} does not go with cameras, which say it: leave it out"
            if problem := cameras.problem(self.cameras):
                return problem
        try:
            self._fit()
        except TooManyPixels as error:
            field = "views" if self.views else "cameras" if self.cameras else "size"
            return f"{field} does not fit: {error}"
        return None

    @property
    def dataset_size(self) -> Size:
        """The number and the size of a dataset's views."""
        return self._fit()

    def _fit(self) -> Size:
        views = len(self.cameras) if self.cameras else self.views
        return fit(self.dataset_quality, views, self.size)


def defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """The values of fields that are left out of a dataset's settings, by name in Python; `raw` is not checked yet."""
    found: dict[str, Any] = {"coverage": "hemisphere", "formats": ["nerfstudio"], "dataset_quality": "100x800"}
    elevations = raw.get("elevations")
    if isinstance(elevations, list) and any(isinstance(each, int | float) and each < 0 for each in elevations):
        found["coverage"] = "sphere"
    listed = cameras.count(raw.get("cameras"))
    views, side = (
        whole(value) if value is not None else None for value in (listed or raw.get("views"), raw.get("size"))
    )
    if (views is None and side is None) or not (_is_number(views, MAX_VIEWS) and _is_number(side, MAX_SIZE)):
        return found  # the fields' own checks say what is wrong
    quality = raw.get("datasetQuality", raw.get("dataset_quality"))
    try:
        size = fit(quality, views, side)
    except TooManyPixels:
        return found | {"dataset_quality": LARGEST_QUALITY}
    except (TypeError, KeyError):
        return found
    found |= {"dataset_quality": size.quality, "size": size.side}
    return found if listed else found | {"views": size.views}


def _is_number(value: Any, most: int) -> bool:
    """Whether a number that is not checked yet is left out, or one to reckon with."""
    return value is None or (isinstance(value, int) and 0 < value <= most)

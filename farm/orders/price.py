"""The price of a render in credits."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from farm.errors import InvalidSettings
from farm.orders.dataset_settings import Cameras, SideLength, Views
from farm.orders.dataset_size import Size, TooManyPixels, fit
from farm.tiers import DatasetQuality, Quality

PRICES: dict[Quality, int] = {"share": 1, "standard": 4, "4k": 16, "pro": 64}
DATASET_PRICES: dict[DatasetQuality, int] = {"100x800": 4, "196x1024": 16, "400x2048": 64}


class Cost(BaseModel):
    """The render settings that determine the price, spelled as in the API; all others are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    quality: Annotated[Quality, Field(description="Quality tier of a video")] = "share"
    output: Annotated[Literal["video", "dataset"], Field(description="Kind of render")] = "video"
    effect: Annotated[str, Field(max_length=64, description="`dataset` requests a dataset, as `output` does")] = (
        "turntable"
    )
    dataset_quality: Annotated[
        DatasetQuality | None,
        Field(description="Tier of a dataset: number of views x pixels per side. Default: the first that has room"),
    ] = None
    views: Views = None
    size: SideLength = None
    cameras: Cameras = None

    @property
    def is_dataset(self) -> bool:
        return "dataset" in (self.output, self.effect)

    @model_validator(mode="after")
    def _has_a_tier(self) -> Self:
        try:
            self._size()
        except TooManyPixels as error:
            message = f"views does not fit: {error}"
            raise PydanticCustomError(InvalidSettings.code, "{message}", {"message": message}) from error
        return self

    @property
    def tier(self) -> DatasetQuality:
        """The tier of a dataset."""
        return self._size().quality

    def _size(self) -> Size:
        return fit(self.dataset_quality, len(self.cameras) if self.cameras else self.views, self.size)

    @property
    def credits(self) -> int:
        return DATASET_PRICES[self.tier] if self.is_dataset else PRICES[self.quality]


def price_of(settings: Mapping[str, Any]) -> int:
    """Credits for a render with these settings, spelled as in the API."""
    return Cost.model_validate({name: value for name, value in settings.items() if value is not None}).credits

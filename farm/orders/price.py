"""The price of a render in credits."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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
        DatasetQuality, Field(description="Tier of a dataset: number of views x pixels per side")
    ] = "100x800"

    @property
    def is_dataset(self) -> bool:
        return "dataset" in (self.output, self.effect)

    @property
    def credits(self) -> int:
        return DATASET_PRICES[self.dataset_quality] if self.is_dataset else PRICES[self.quality]


def price_of(settings: Mapping[str, Any]) -> int:
    """Credits for a render with these settings, spelled as in the API."""
    return Cost.model_validate({name: value for name, value in settings.items() if value is not None}).credits

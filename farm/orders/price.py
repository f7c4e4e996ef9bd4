"""The price of a render in credits."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from farm.tiers import DatasetQuality, Quality

PRICES: dict[Quality, int] = {"share": 1, "standard": 4, "4k": 16, "pro": 64}
DATASET_PRICES: dict[DatasetQuality, int] = {"100x800": 4, "196x1024": 16, "400x2048": 64}


class Cost(BaseModel):
    """The render settings that decide the price, as the API spells them; all others are passed over."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    quality: Annotated[Quality, Field(description="Quality tier of a video")] = "share"
    output: Annotated[Literal["video", "dataset"], Field(description="What is made of the model")] = "video"
    effect: Annotated[str, Field(description="`dataset` asks for a dataset, like `output`")] = "turntable"
    dataset_quality: Annotated[DatasetQuality, Field(description="Tier of a dataset: views x pixels a side")] = (
        "100x800"
    )

    @property
    def is_dataset(self) -> bool:
        return "dataset" in (self.output, self.effect)

    @property
    def credits(self) -> int:
        return DATASET_PRICES[self.dataset_quality] if self.is_dataset else PRICES[self.quality]


def price_of(settings: Mapping[str, Any]) -> int:
    """Credits for a render with these settings, as the API spells them."""
    return Cost.model_validate({name: value for name, value in settings.items() if value is not None}).credits

"""The dataset tiers: how many views of which size each has."""

from dataclasses import dataclass
from typing import Literal

DatasetQuality = Literal["100x800", "196x1024", "400x2048"]
Coverage = Literal["hemisphere", "sphere"]


@dataclass(frozen=True)
class DatasetTier:
    """`views` pictures, each a square of `side` pixels."""

    views: int
    side: int


TIERS: dict[DatasetQuality, DatasetTier] = {
    "100x800": DatasetTier(100, 800),
    "196x1024": DatasetTier(196, 1024),
    "400x2048": DatasetTier(400, 2048),
}

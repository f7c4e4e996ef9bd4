"""The quality tiers of videos and datasets, as data. Frame sizes for each aspect follow in farm.orders.plan."""

from dataclasses import dataclass
from typing import Literal

Quality = Literal["share", "standard", "4k", "pro"]
DatasetQuality = Literal["100x800", "196x1024", "400x2048"]
Coverage = Literal["hemisphere", "sphere"]


@dataclass(frozen=True)
class Tier:
    """`short_side` is pixels of the delivered video.

    `has_web`: a lighter MP4 comes with it. `has_alpha`: the video is ProRes 4444 in .mov, drawn with 16 bits a sample;
    all others are H.264 in .mp4, drawn with 8.
    """

    short_side: int
    has_web: bool = False
    has_alpha: bool = False

    @property
    def bits(self) -> int:
        """Bits of every colour and alpha sample that Blender delivers."""
        return 16 if self.has_alpha else 8


TIERS = {
    "preview": Tier(180),
    "share": Tier(540),
    "standard": Tier(1080, has_web=True),
    "4k": Tier(2160, has_web=True),
    "pro": Tier(2160, has_web=True, has_alpha=True),
}


@dataclass(frozen=True)
class DatasetTier:
    """`views` pictures, each a square of `side` pixels."""

    views: int
    side: int


DATASET_TIERS: dict[DatasetQuality, DatasetTier] = {
    "100x800": DatasetTier(100, 800),
    "196x1024": DatasetTier(196, 1024),
    "400x2048": DatasetTier(400, 2048),
}

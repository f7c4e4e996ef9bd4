"""The quality tiers of videos and datasets. farm.orders.plan derives the frame size for each aspect ratio."""

from dataclasses import dataclass
from typing import Literal

Quality = Literal["share", "standard", "4k", "pro"]
DatasetQuality = Literal["100x800", "196x1024", "400x2048"]
Coverage = Literal["hemisphere", "sphere"]
Format = Literal["nerfstudio", "colmap", "nerf-synthetic", "rgba", "metric-depth", "downscaled", "all"]

MAX_LENGTH_SECONDS = 30  # of a video; admin accounts may order longer ones


@dataclass(frozen=True)
class Tier:
    """A tier of videos.

    `short_side`: pixels of the delivered video. `has_web`: whether there is a smaller web variant, an MP4.
    `has_alpha`: whether the video is ProRes 4444 in .mov, rendered with 16 bits per sample; otherwise it is H.264 in
    .mp4, rendered with 8.
    """

    short_side: int
    has_web: bool = False
    has_alpha: bool = False

    @property
    def bits(self) -> int:
        """Bits per colour and alpha sample of the frames that Blender renders."""
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
    """A tier of datasets: `views` square images with `side` pixels per side."""

    views: int
    side: int


DATASET_TIERS: dict[DatasetQuality, DatasetTier] = {
    "100x800": DatasetTier(100, 800),
    "196x1024": DatasetTier(196, 1024),
    "400x2048": DatasetTier(400, 2048),
}

"""The number and the size of a dataset's views, and the tier that they cost. Pure functions."""

from dataclasses import dataclass

from farm.tiers import DATASET_TIERS, DatasetQuality, DatasetTier

DEFAULT_QUALITY, *_, LARGEST_QUALITY = DATASET_TIERS


@dataclass(frozen=True)
class Size:
    """`views` square images with `side` pixels per side, at the price of `quality`."""

    quality: DatasetQuality
    views: int
    side: int


def fit(quality: DatasetQuality | None, views: int | None, side: int | None) -> Size:
    """The size that these fields of render settings ask for.

    What is left out is that of the quality's tier, or of the smallest. A quality that is left out is the smallest with
    at least as many pixels. Raises TooManyPixels.
    """
    tier = DATASET_TIERS[quality or DEFAULT_QUALITY]
    views, side = views or tier.views, side or tier.side
    for name in [quality] if quality else DATASET_TIERS:
        if views * side**2 <= _pixels(DATASET_TIERS[name]):
            return Size(name, views, side)
    raise TooManyPixels(views, side, quality or LARGEST_QUALITY)


class TooManyPixels(ValueError):
    """The views have more pixels than the tier."""

    def __init__(self, views: int, side: int, quality: DatasetQuality) -> None:
        most = _pixels(DATASET_TIERS[quality]) // side**2
        super().__init__(
            f"{views} views of {side}x{side} have more pixels than {quality}, which has room for {most} of that size"
        )


def _pixels(tier: DatasetTier) -> int:
    return tier.views * tier.side**2

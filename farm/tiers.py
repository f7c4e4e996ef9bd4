"""The quality tiers: what each delivers, as data. Sizes for each aspect follow in farm.plan."""

from dataclasses import dataclass


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

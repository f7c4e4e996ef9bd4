"""The decision which engine a node draws with, from what was measured on it. Pure functions and data.

An engine is fit when its picture is good enough at every tier. Of the fit ones the fastest wins, by the geometric mean
of its seconds per frame over the tiers, in which twice as fast counts the same at every size.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from farm.scene.shot import Engine

# Against a picture of many samples. Cycles' 4 samples have 35 dB in the small pictures of a calibration, EEVEE's 42; a
# device that draws wrongly has less than 20.
MIN_PSNR_DB = 30.0
# Of EEVEE's picture of many samples against Cycles': they differ by their light, 23 dB, but show the same.
MIN_LIKENESS_DB = 18.0
# Below that share of difference, the first of these wins: equal cards must not come to different verdicts by noise, as
# nodes share the drawing of a video only if their engines are the same.
EQUAL_SHARE = 0.05
PREFERENCE: tuple[Engine, ...] = ("cycles-optix", "cycles-cuda", "cycles-hip", "eevee", "cycles")
FALLBACK: Engine = "cycles"  # if none is fit: every machine has it


@dataclass(frozen=True)
class Candidate:
    """An engine as it was measured on a machine.

    By tier: `seconds` per frame, and `psnr` in dB against a picture of many samples. `reason` says why it is not fit.
    """

    engine: Engine
    seconds: Mapping[str, float] = field(default_factory=dict)
    psnr: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.engine}: " + (self.reason or f"{self.seconds['share']:.2f} s a share frame")

    @property
    def mean_seconds(self) -> float:
        """The geometric mean of the seconds per frame over the tiers."""
        return math.exp(math.fsum(map(math.log, self.seconds.values())) / len(self.seconds))


@dataclass(frozen=True)
class Verdict:
    """The engine of a machine, and all candidates. `is_sound` is False if none was fit: it is not to be kept."""

    engine: Engine
    candidates: tuple[Candidate, ...]
    is_sound: bool

    def candidates_json(self) -> list[dict[str, Any]]:
        """All candidates as plain data, as nodes report them."""
        return [asdict(each) for each in self.candidates]

    def summary(self) -> str:
        """One line for an operator."""
        return "; ".join(map(str, self.candidates))


@dataclass(frozen=True)
class Key:
    """What a verdict holds for: a GPU, its driver and engines, and the versions of Blender and Plinth."""

    card: str
    engines: str  # those for GPUs; a container may lack some of its machine's
    driver: str
    bpy: str
    plinth: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def decide(measured: Sequence[Candidate], tiers: Collection[str]) -> Verdict:
    """The verdict over all candidates, whatever their order. `tiers` are those that each must have been measured at."""
    judged = sorted((_judged(each, tiers) for each in measured), key=lambda each: PREFERENCE.index(each.engine))
    fit = [each for each in judged if each.reason is None]
    if not fit:
        return Verdict(FALLBACK, tuple(judged), is_sound=False)
    most = min(each.mean_seconds for each in fit) * (1 + EQUAL_SHARE)
    winner = next(each for each in fit if each.mean_seconds <= most)
    return Verdict(winner.engine, tuple(judged), is_sound=True)


def _judged(candidate: Candidate, tiers: Collection[str]) -> Candidate:
    """The candidate, with the reason if it is not fit."""
    if candidate.reason is not None:
        return candidate
    for tier in tiers:
        if not 0 < candidate.seconds.get(tier, 0.0) < math.inf:
            return replace(candidate, reason=f"not measured at {tier}")
        if not candidate.psnr.get(tier, 0.0) >= MIN_PSNR_DB:
            noise = f"{candidate.psnr.get(tier, 0.0):.1f} dB at {tier}, below {MIN_PSNR_DB:.0f}"
            return replace(candidate, reason=f"its picture is not good enough: {noise}")
    return candidate


def frame_seconds(measured: Mapping[int, float], pixels: int) -> float:
    """The seconds of a frame of this many pixels, from those of other sizes: on the line through the two largest.

    The line never falls, and meets no negative time. From a single size on, time is proportional to the pixels.
    """
    if pixels in measured:
        return measured[pixels]
    *_, (few, quick), (many, slow) = [(0, 0.0), *sorted(measured.items())]
    slope = max(slow - quick, 0.0) / (many - few)
    fixed = slow - slope * many
    return slow * pixels / many if fixed < 0 else fixed + slope * pixels

"""The decision which engine a node draws with: pure, over whatever was measured."""

import math
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.rendering.verdict import (
    EQUAL_SHARE,
    FALLBACK,
    MIN_PSNR_DB,
    PREFERENCE,
    Candidate,
    Key,
    decide,
    frame_seconds,
)
from farm.scene.shot import ENGINES, Engine

TIERS = ("share", "4k")

seconds = st.floats(1e-3, 1e3)
fit_psnr = st.floats(MIN_PSNR_DB, 99)
reasons = st.sampled_from([None, None, "no device", "Blender crashed", "not measured within 12 s"])


def measured(engine: Engine, took: float = 1.0, psnr: float = 40.0, reason: str | None = None) -> Candidate:
    return Candidate(engine, dict.fromkeys(TIERS, took), dict.fromkeys(TIERS, psnr), reason)


@st.composite
def a_candidate(draw: st.DrawFn, engine: Engine) -> Candidate:
    psnr = st.one_of(fit_psnr, st.floats(0, MIN_PSNR_DB, exclude_max=True), st.just(math.nan))
    times = st.one_of(seconds, st.sampled_from([0.0, -1.0, math.inf, math.nan]))
    return Candidate(
        engine,
        draw(st.dictionaries(st.sampled_from(TIERS), times)),
        draw(st.dictionaries(st.sampled_from(TIERS), psnr)),
        draw(reasons),
    )


any_candidates = st.lists(st.sampled_from(ENGINES), unique=True).flatmap(
    lambda engines: st.tuples(*map(a_candidate, engines))
)
fit_candidates = st.dictionaries(st.sampled_from(ENGINES), st.tuples(seconds, seconds), min_size=1).map(
    lambda found: [
        Candidate(engine, dict(zip(TIERS, times, strict=True)), dict.fromkeys(TIERS, 40.0))
        for engine, times in found.items()
    ]
)


class TestDecision:
    def test_prefers_every_engine_once(self) -> None:
        assert sorted(PREFERENCE) == sorted(ENGINES)

    @given(any_candidates)
    def test_takes_only_a_fit_engine_and_gives_a_reason_for_every_other(self, found: tuple[Candidate, ...]) -> None:
        verdict = decide(found, TIERS)
        judged = {each.engine: each for each in verdict.candidates}
        assert judged.keys() == {each.engine for each in found}
        for each in found:
            is_fit = (
                each.reason is None
                and all(0 < each.seconds.get(tier, 0) < math.inf for tier in TIERS)
                and all(each.psnr.get(tier, 0) >= MIN_PSNR_DB for tier in TIERS)
            )
            assert (judged[each.engine].reason is None) == is_fit
        assert verdict.is_sound == any(each.reason is None for each in judged.values())
        if verdict.is_sound:
            assert judged[verdict.engine].reason is None
        else:
            assert verdict.engine == FALLBACK

    @given(fit_candidates)
    def test_takes_one_as_fast_as_the_fastest(self, found: list[Candidate]) -> None:
        verdict = decide(found, TIERS)
        chosen = next(each for each in found if each.engine == verdict.engine)
        fastest = min(each.mean_seconds for each in found)
        assert chosen.mean_seconds <= fastest * (1 + EQUAL_SHARE) * (1 + 1e-9)

    @given(fit_candidates, st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order(self, found: list[Candidate], shuffling: Random) -> None:
        shuffled = shuffling.sample(found, len(found))
        assert decide(shuffled, TIERS) == decide(found, TIERS)

    @given(fit_candidates, st.floats(0.1, 0.99))
    def test_stays_with_an_engine_that_becomes_faster(self, found: list[Candidate], factor: float) -> None:
        engine = decide(found, TIERS).engine
        faster = [
            replace(each, seconds={tier: took * factor for tier, took in each.seconds.items()})
            if each.engine == engine
            else each
            for each in found
        ]
        assert decide(faster, TIERS).engine == engine

    def test_counts_all_tiers_alike(self) -> None:
        """Twice as fast at a small size outweighs a tenth more time at a large one, although that is many seconds."""
        small = Candidate("eevee", {"share": 0.1, "4k": 11.0}, dict.fromkeys(TIERS, 40.0))
        large = Candidate("cycles-cuda", {"share": 0.2, "4k": 10.0}, dict.fromkeys(TIERS, 40.0))
        assert decide([small, large], TIERS).engine == "eevee"

    def test_is_the_same_on_equal_cards_whose_times_differ_by_noise(self) -> None:
        verdicts = {
            decide([measured("eevee", 0.1 * noise), measured("cycles-optix", 0.1)], TIERS).engine
            for noise in (0.97, 1.0, 1.03)
        }
        assert verdicts == {"cycles-optix"}

    @pytest.mark.parametrize(
        ("out", "words"),
        [
            (measured("eevee", 0.1, psnr=29.0), "29.0 dB at share, below 30"),
            (measured("eevee", 0.1, reason="Blender crashed"), "Blender crashed"),
            (replace(measured("eevee"), seconds={"share": 0.1}), "not measured at 4k"),
        ],
    )
    def test_passes_over_an_engine_that_is_fast_and_not_fit(self, out: Candidate, words: str) -> None:
        verdict = decide([out, measured("cycles", 5.0)], TIERS)
        assert verdict.engine == "cycles"
        [eevee] = [each for each in verdict.candidates if each.engine == "eevee"]
        assert words in (eevee.reason or "")
        assert words in verdict.summary()


class TestKey:
    @given(st.lists(st.tuples(*[st.sampled_from(["", "a", "b"])] * 5), min_size=2, max_size=2, unique=True))
    def test_differs_with_card_engines_driver_and_versions(self, two: list[tuple[str, str, str, str, str]]) -> None:
        one, other = (Key(*parts) for parts in two)
        assert one.digest != other.digest
        assert one.digest == replace(one).digest


class TestSecondsOfAFrame:
    @given(st.floats(0, 10), st.floats(1e-9, 1e-3), st.integers(1, 10**7))
    def test_follow_a_line_of_fixed_and_growing_costs(self, fixed: float, slope: float, pixels: int) -> None:
        took = {size: fixed + slope * size for size in (57_600, 230_400)}
        assert frame_seconds(took, pixels) == pytest.approx(fixed + slope * pixels, rel=1e-6, abs=1e-6)

    @given(
        st.dictionaries(st.integers(1, 10**7), seconds, min_size=1, max_size=5),
        st.lists(st.integers(1, 10**8), min_size=2).map(sorted),
    )
    def test_are_positive_and_never_fall_with_the_size(self, took: dict[int, float], sizes: list[int]) -> None:
        times = [frame_seconds(took, size) for size in sizes if size not in took]
        assert all(0 < time < math.inf for time in times)
        assert all(few <= many * (1 + 1e-9) for few, many in pairwise(times))

    def test_are_in_proportion_to_the_pixels_of_a_single_size(self) -> None:
        assert frame_seconds({100: 2.0}, 300) == pytest.approx(6.0)

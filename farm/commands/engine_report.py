"""`farm doctor --benchmark`: measures the engines of this machine, and keeps the verdict."""

from farm.commands.shared import console, print_json, print_rich, table_of
from farm.processes import sandbox
from farm.processes.scratch import own_scratch
from farm.rendering import engine
from farm.rendering.verdict import Candidate, Verdict
from farm.settings import Settings
from farm.tiers import TIERS


def print_engine_report(settings: Settings, *, as_json: bool) -> bool:
    """Print the seconds of each engine for a frame of every tier. Returns whether one is fit.

    Raises FarmError.
    """
    with own_scratch(settings.scratch) as scratch:
        devices = engine.probe(scratch, sandbox.of_blender(settings))
        verdict = engine.measure(settings, scratch, devices, compiling_first=True)
    if as_json:
        print_json({"engine": verdict.engine, "gpu": devices.name, "candidates": verdict.candidates_json()})
        return verdict.is_sound
    table = table_of(("ENGINE", *(f"{tier.upper()} (S A FRAME)" for tier in TIERS), "PSNR (DB)", "VERDICT"))
    for each in verdict.candidates:
        figures = (f"{each.seconds[tier]:.3f}" if tier in each.seconds else "" for tier in TIERS)
        table.add_row(each.engine, *figures, _psnr(each), _outcome(verdict, each))
    print_rich(table)
    forced = settings.engine != "auto" and settings.engine
    console.print(f"FARM_ENGINE={forced} is used all the same" if forced else f"FARM_ENGINE=auto uses {verdict.engine}")
    return verdict.is_sound


def _psnr(candidate: Candidate) -> str:
    found = sorted(candidate.psnr.values())
    return f"{found[0]:.1f} to {found[-1]:.1f}" if found else ""


def _outcome(verdict: Verdict, candidate: Candidate) -> str:
    if candidate.reason:
        return f"out: {candidate.reason}"
    return "the fastest" if candidate.engine == verdict.engine else "slower"

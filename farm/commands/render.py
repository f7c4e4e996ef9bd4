"""`farm render` and `farm dataset`: render one model on this machine, without a server."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from farm import logs
from farm.commands.shared import BackgroundFile, Set, console
from farm.orders.render_settings import parse, parse_pairs, read_pairs
from farm.rendering import local
from farm.settings import Settings

PLAIN_PROGRESS_INTERVAL_SECONDS = 2.0  # between progress lines when stdout is not a terminal


def render_video(
    model: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A .glb, a self-contained .gltf, or the .zip of a scan.")
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="Video file to write: .mp4, or .mov for pro. The poster goes beside it."),
    ],
    set_: Set = None,
    background: BackgroundFile = None,
) -> None:
    """Render one model on this machine, without a server."""
    logs.configure("warning")
    with local.render(model, parse_pairs(set_ or []), out, Settings(), background) as job:
        _show_progress(job.steps, job.frames, "frames")
    console.print(f"{out} and {out.with_suffix('.png')}")


def render_dataset(
    model: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A .glb, a self-contained .gltf, or the .zip of a scan.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Dataset file to write: .zip.")],
    quality: Annotated[
        str | None,
        typer.Option(help="Number of views x pixels per side: 100x800, 196x1024 or 400x2048.", show_default="100x800"),
    ] = None,
    coverage: Annotated[
        str | None, typer.Option(help="Camera positions: hemisphere or sphere.", show_default="hemisphere")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Format to add: colmap, nerf-synthetic, rgba, metric-depth, downscaled or all. May be repeated.",
        ),
    ] = None,
    set_: Set = None,
) -> None:
    """Render a training dataset for NeRF and Gaussian splatting on this machine, without a server."""
    logs.configure("warning")
    given = {"datasetQuality": quality, "coverage": coverage, "formats": formats}
    options = {"output": "dataset", "effect": "dataset", **given}
    request = parse(options | read_pairs(set_ or []))
    with local.dataset(model, request, out, Settings()) as job:
        _show_progress(job.steps, job.frames, "views")
    console.print(str(out))


def _show_progress(steps: Iterator[int], total: int, unit: str) -> None:
    """Consume `steps` (each the number of units done) while showing count, rate and remaining time.

    A progress bar on a terminal, plain lines elsewhere.
    """
    started = last_line = time.monotonic()
    columns = (
        TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        TextColumn("{task.fields[rate]:.2f} " + unit + "/s"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("rendering", total=total, rate=0.0)
        for done in steps:
            seconds = time.monotonic() - started
            progress.update(task, completed=done, rate=done / seconds)
            is_due = time.monotonic() - last_line > PLAIN_PROGRESS_INTERVAL_SECONDS or done == total
            if not console.is_terminal and is_due:
                last_line = time.monotonic()
                remaining = seconds / done * (total - done)
                console.print(f"{done}/{total} {unit}, {done / seconds:.2f} {unit}/s, {remaining:.0f} s left")

"""The quality gate: compares a frame of each tier with a reference of 1024 samples.

Prints a table and one line of JSON; the exit code is 1 when a tier fails the gate.
usage: python -m benchmarks.quality [MODEL...]

A share frame is compared as a whole, over white. Larger frames are compared in a window on the subject, which is
stricter, because a full reference of 3840x2160 takes hours without a GPU. This process imports bpy.
"""

import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.measures import grey, psnr, ssim
from farm import templates
from farm.blender import engines, film, pixels, silhouettes, stage
from farm.orders import plan
from farm.scene.camera import crop, view
from farm.scene.shot import ShotSetup
from farm.tiers import TIERS

MIN_PSNR_DB, MIN_SSIM, REFERENCE_SAMPLES = 36.0, 0.97, 1024
WINDOW = 240, 136
AZIMUTH = 30.0
ASSETS = Path(__file__).parents[1] / "tests" / "assets"
MODELS = [ASSETS / name for name in ("product.glb", "walker.glb", "draco.glb")]
# pro has the same samples and pixels as 4k.
COMPARED = ("share", "standard", "4k")


@dataclass(frozen=True)
class Row:
    """The similarity of one tier to the reference on one model."""

    model: str
    tier: str
    samples: int
    psnr: float
    ssim: float


def main() -> None:
    rows = [compare(model, tier) for model in map(Path, sys.argv[1:] or MODELS) for tier in COMPARED]
    print(f"{'model':16}{'tier':10}{'samples':>8}{'PSNR dB':>9}{'SSIM':>8}")
    for row in rows:
        print(f"{row.model:16}{row.tier:10}{row.samples:>8}{row.psnr:>9}{row.ssim:>8}")
    machine = f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, no GPU used"
    print(
        json.dumps(
            {"gate": {"psnr": MIN_PSNR_DB, "ssim": MIN_SSIM}, "rows": list(map(asdict, rows)), "machine": machine}
        )
    )
    if any(row.psnr < MIN_PSNR_DB or row.ssim < MIN_SSIM for row in rows):
        sys.exit("a tier fails the gate")


def compare(model: Path, tier: str) -> Row:
    """Compare one frame of a tier with its reference."""
    width, height = plan.frame_size(tier, "16:9")
    samples = templates.load("studio").samples[tier]
    blend = str(templates.blend("studio"))
    shot = ShotSetup(str(model), blend, width, height, samples, "cycles", shadows=False, bits=TIERS[tier].bits)
    set_up = stage.set_up(shot)
    film.prepare(set_up, shot)
    camera = view(set_up.lens, AZIMUTH, 1.0)
    box = window(crop(camera, set_up.points, 2)) if tier != "share" else crop(camera, set_up.points, 2)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:

        def render() -> pixels.Pixels:
            return film.render_image(set_up, camera, box, Path(folder))

        drawn = render()
        painted = drawn[..., 3].copy()
        with silhouettes.Silhouette.of(set_up).drawn():
            drawn[..., 3] = render()[..., 3]
        pixels.settle_edges(drawn, painted)
        engines.use_engine("cycles", REFERENCE_SAMPLES)
        bpy.context.scene.cycles.use_denoising = False
        reference = render()
    one, other = (over_white(each, (width, height) if tier == "share" else None, box) for each in (drawn, reference))
    row = Row(
        model.name,
        tier,
        samples,
        psnr=round(psnr(one.astype(float), other.astype(float)), 2),
        ssim=round(ssim(grey(one), grey(other)), 4),
    )
    print(row, file=sys.stderr, flush=True)
    return row


def window(box: film.Box) -> film.Box:
    """A window in the left half of the box, with some interior and some silhouette."""
    left, top, right, bottom = box
    x, y = left + (right - left) // 4, (top + bottom) // 2
    return x - WINDOW[0] // 2, y - WINDOW[1] // 2, x + WINDOW[0] // 2, y + WINDOW[1] // 2


def over_white(straight: pixels.Pixels, frame: tuple[int, int] | None, box: film.Box) -> NDArray[np.uint8]:
    """The rendered `box` over white, at its position in the whole `frame` if one is given."""
    subject = Image.fromarray((straight // (257 if straight.dtype == np.uint16 else 1)).astype(np.uint8))
    flat = Image.new("RGB", frame or subject.size, "white")
    flat.paste(subject, (box[0], box[1]) if frame else (0, 0), subject)
    return np.asarray(flat)


if __name__ == "__main__":
    main()

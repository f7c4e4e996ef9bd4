"""The quality gate: compares frames of each tier with references of 1024 samples, as a whole and material by material.

Prints a table and one line of JSON; the exit code is 1 when a tier fails the gate.
usage: python -m benchmarks.quality [--tier TIER]... [--references FOLDER] [MODEL...]

A share frame is compared in the subject's crop, over white. Larger frames are compared in the window that shows the
most materials, because a full reference of 3840x2160 takes hours without a GPU. References are kept in FOLDER for the
next time; empty it after a change of what a scene looks like. This process imports bpy.
"""

import argparse
import hashlib
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

from benchmarks.measures import grey, psnr, ssim
from farm import templates
from farm.blender import engines, film, guides, pixels, stage
from farm.blender.materials import materials
from farm.orders import plan
from farm.scene.camera import View, crop, view
from farm.scene.shot import ShotSetup
from farm.tiers import TIERS

MIN_PSNR_DB, MIN_SSIM, REFERENCE_SAMPLES = 36.0, 0.98, 1024
MAX_OUTLIERS = 1.0  # of a thousand pixels of one material
OUTLIER = 40  # levels of 255 between a channel of a pixel and its reference
MAX_CHANGE = 4.0  # levels of 255, RMS, of a pixel's error from one frame to the next
MIN_PATCH_PIXELS = 1000  # of a material that is looked at: one of them is the goal
WINDOW = 240, 136
AZIMUTHS = 30.0, 32.0  # two neighbouring frames
Patches = dict[str, NDArray[np.bool_]]  # by the name of a material: whether a pixel shows it
ROOT = Path(__file__).parents[1]
# Those of the public samples that are there, and models of the project.
SAMPLES = ROOT.parent / "shared" / "models"
MODELS = [
    *(ROOT / "tests" / "assets" / name for name in ("product.glb", "spheres.glb", "walker.glb")),
    *(path for name in ("Duck.glb", "CesiumMilkTruck.glb") if (path := SAMPLES / name).exists()),
]
# pro has the same samples and pixels as 4k.
COMPARED = ("share", "standard", "4k")


@dataclass(frozen=True)
class Row:
    """The similarity of one tier to the reference on one model.

    `change`: how much the error changes to the next frame, RMS, in levels of 255. `outliers`: how many of a thousand
    pixels of `material`, the worst, are off by more than OUTLIER.
    """

    model: str
    tier: str
    samples: int
    psnr: float
    ssim: float
    change: float
    outliers: float
    material: str

    @property
    def passes(self) -> bool:
        # In a window of smooth surfaces SSIM would judge the reference's own grain.
        similar = self.psnr >= MIN_PSNR_DB and (self.ssim >= MIN_SSIM or self.tier != "share")
        return similar and self.outliers <= MAX_OUTLIERS and self.change <= MAX_CHANGE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL", default=MODELS)
    parser.add_argument("--tier", action="append", choices=COMPARED)
    parser.add_argument("--references", type=Path, default=Path(tempfile.gettempdir(), "plinth-references"))
    arguments = parser.parse_args()
    arguments.references.mkdir(parents=True, exist_ok=True)
    tiers = arguments.tier or COMPARED
    rows = [compare(model, tier, arguments.references) for tier in tiers for model in arguments.models]
    print(
        f"{'model':20}{'tier':10}{'samples':>8}{'PSNR dB':>9}{'SSIM':>8}{'change':>8}{'outliers':>10}  worst material"
    )
    for row in rows:
        figures = f"{row.samples:>8}{row.psnr:>9}{row.ssim:>8}{row.change:>8}{row.outliers:>10}"
        print(f"{row.model:20}{row.tier:10}{figures}  {row.material}")
    machine = f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, no GPU used"
    gate = {"psnr": MIN_PSNR_DB, "ssim": MIN_SSIM, "outliers": MAX_OUTLIERS, "change": MAX_CHANGE}
    print(json.dumps({"gate": gate, "rows": list(map(asdict, rows)), "machine": machine}))
    if not all(row.passes for row in rows):
        sys.exit("a tier fails the gate")


def compare(model: Path, tier: str, references: Path) -> Row:
    """Compare two neighbouring frames of a tier with their references."""
    width, height = plan.frame_size(tier, "16:9")
    samples = templates.load("studio").samples[tier]
    blend = str(templates.blend("studio"))
    shot = ShotSetup(str(model), blend, width, height, samples, "cycles", shadows=False, bits=TIERS[tier].bits)
    set_up = stage.set_up(shot)
    film.prepare(set_up, shot)
    drawing = guides.Guides.of(set_up)
    cameras = [view(set_up.lens, azimuth, 1.0) for azimuth in AZIMUTHS]
    boxes = np.array([crop(camera, set_up.points, 2) for camera in cameras])
    left, top, right, bottom = (int(edge) for edge in (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)))
    box = left, top, right, bottom
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        shown = patches(set_up, drawing, cameras[0], box, folder)
        if tier != "share":
            box, shown = window(box, shown)
        drawn = [guides.render_denoised(set_up, drawing, camera, box, folder)[0] for camera in cameras]
        engines.use_engine("cycles", REFERENCE_SAMPLES)
        kept = [references / f"{key(shot, box, azimuth)}.npy" for azimuth in AZIMUTHS]
        ideals = [reference(set_up, camera, box, path, folder) for camera, path in zip(cameras, kept, strict=True)]
    ours, theirs = list(map(over_white, drawn)), list(map(over_white, ideals))
    errors = [one - other for one, other in zip(ours, theirs, strict=True)]
    is_off = np.abs(errors[0]).max(axis=-1) > OUTLIER
    worst = max(shown, key=lambda material: is_off[shown[material]].mean())
    one, other = ours[0], theirs[0]
    row = Row(
        model.name,
        tier,
        samples,
        psnr=round(psnr(one, other), 2),
        ssim=round(ssim(grey(one), grey(other)), 4),
        change=round(float(np.sqrt(np.mean((errors[1] - errors[0]) ** 2))), 2),
        outliers=round(1000 * float(is_off[shown[worst]].mean()), 2),
        material=worst,
    )
    print(row, file=sys.stderr, flush=True)
    return row


def key(shot: ShotSetup, box: film.Box, azimuth: float) -> str:
    """The name of a reference: other models, templates, sizes, cameras and Blenders have other names."""
    files = b"".join(Path(path).read_bytes() for path in (shot.model_path, shot.template))
    facts = shot.width, shot.height, shot.bits, box, azimuth, REFERENCE_SAMPLES, bpy.app.version_string
    return hashlib.sha256(files + repr(facts).encode()).hexdigest()[:32]


def reference(set_up: stage.Stage, camera: View, box: film.Box, path: Path, folder: Path) -> pixels.Pixels:
    """The frame with REFERENCE_SAMPLES, from the file or, the first time, into it."""
    if not path.exists():
        drawn = film.render_image(set_up, camera, box, folder)
        written = path.with_suffix(".part")
        with written.open("wb") as file:
            np.save(file, drawn)
        written.replace(path)
    kept: pixels.Pixels = np.load(path)
    return kept


def patches(set_up: stage.Stage, drawing: guides.Guides, camera: View, box: film.Box, folder: Path) -> Patches:
    """The pixels of each material that covers enough of the box."""
    used = sorted(materials(set_up.drawn), key=lambda material: material.name)
    bpy.context.view_layer.use_pass_material_index = True
    for index, material in enumerate(used, 1):
        material.pass_index = index
    with drawing.drawn():
        indices = film.render_passes(set_up, camera, box, folder)["IndexMA.X"]
    shown = {material.name: indices == index for index, material in enumerate(used, 1)}
    return {name: patch for name, patch in shown.items() if patch.sum() >= MIN_PATCH_PIXELS}


def window(box: film.Box, shown: Patches) -> tuple[film.Box, Patches]:
    """The part of the box, WINDOW in size, that shows the most materials, and their pixels in it."""
    left, top, right, bottom = box
    width, height = min(WINDOW[0], right - left), min(WINDOW[1], bottom - top)
    parts = []
    for y in range(0, bottom - top - height + 1, height // 2):
        for x in range(0, right - left - width + 1, width // 2):
            cut = {name: patch[y : y + height, x : x + width] for name, patch in shown.items()}
            large = {name: patch for name, patch in cut.items() if patch.sum() >= MIN_PATCH_PIXELS}
            parts.append(((left + x, top + y, left + x + width, top + y + height), large))
    return max(parts, key=lambda part: (len(part[1]), sum(patch.sum() for patch in part[1].values())))


def over_white(straight: pixels.Pixels) -> NDArray[np.float64]:
    """The picture over white: (height, width, 3), 0 to 255."""
    whole = straight / np.float64(np.iinfo(straight.dtype).max)
    colours, alpha = whole[..., :3], whole[..., 3:]
    return np.asarray(255 * (colours * alpha + 1 - alpha), np.float64)


if __name__ == "__main__":
    main()

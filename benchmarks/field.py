"""Trains a small voxel field on datasets and prints its PSNR on held-out views: pictures and cameras fit each other.

usage: python -m benchmarks.field [MODEL ...] [--iterations 300]

In numpy, on the CPU: density and colour at the corners of a grid over the model's sphere, rendered along rays over
white, trained by Adam with the gradients written out. Once with the cameras of transforms.json, and once with a
principal point that is wrong by half a pixel, which must be worse. Prints one line of JSON for each model.
"""

import argparse
import io
import json
import math
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from farm.orders.render_settings import parse
from farm.rendering import local
from farm.settings import Settings

ASSETS = Path(__file__).parents[1] / "tests" / "assets"
MODELS = [ASSETS / "product.glb", ASSETS / "walker.glb", ASSETS / "scan.zip"]
VIEWS, SIZE, SAMPLES = 72, 200, 12  # of the dataset
SCALE = 0.5  # of its pictures
SPLIT = 8
COARSE, FINE = 32, 80  # cells per side of the grid
RAYS, STEPS = 2048, 72  # of a batch, and per ray
LEARNING_RATE, DECAY = 0.1, 0.1  # the rate falls by this factor over the whole training
DENSITY = 20.0  # of raw 1, about, per unit of length
MIN_DENSITY = 0.5  # below, a cell is empty
WRONG_PIXELS = 0.5

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Rays:
    """Origins, directions of length 1 and colours in [0, 1], each of shape (n, 3)."""

    origins: Array
    directions: Array
    colours: Array

    def some(self, chosen: Any) -> "Rays":
        return Rays(self.origins[chosen], self.directions[chosen], self.colours[chosen])


def read(archive: Path, part: str, wrong: float = 0.0) -> Rays:
    """All rays of a part of the dataset. `wrong` is added to the principal point, in pixels."""
    with zipfile.ZipFile(archive) as files:
        transforms = json.loads(files.read("transforms.json"))
        poses = {frame["file_path"]: np.array(frame["transform_matrix"]) for frame in transforms["frames"]}
        origins, directions, colours = [], [], []
        for name in transforms[f"{part}_filenames"]:
            picture = np.asarray(Image.open(io.BytesIO(files.read(name)))) / 255
            columns, rows = np.meshgrid(np.arange(transforms["w"]) + 0.5, np.arange(transforms["h"]) + 0.5)
            across = (columns - transforms["cx"] - wrong) / transforms["fl_x"]
            down = (rows - transforms["cy"] - wrong) / transforms["fl_y"]
            rays = np.stack([across, -down, -np.ones_like(across)], -1).reshape(-1, 3) @ poses[name][:3, :3].T
            directions.append(rays / np.linalg.norm(rays, axis=1, keepdims=True))
            origins.append(np.broadcast_to(poses[name][:3, 3], rays.shape))
            colours.append(picture.reshape(-1, 3))
    return Rays(*(np.concatenate(each).astype(np.float32) for each in (origins, directions, colours)))


def within_sphere(rays: Rays) -> tuple[Array, Array]:
    """Where rays enter and leave the sphere of radius 1, shape (n,); the same where they miss it."""
    middle = -(rays.origins * rays.directions).sum(1)
    half = np.sqrt(np.maximum(1 - (rays.origins**2).sum(1) + middle**2, 0))
    return middle - half, middle + half


class Field:
    """`raw` has density and colour before their activation at `side`^3 corners, shape (side^3, 4)."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.raw = np.zeros((side**3, 4), np.float32)
        self.raw[:, 0] = -2.0
        self.occupied = np.ones(side**3, bool)
        self._moments = np.zeros((2, *self.raw.shape), np.float32)
        self._step = 0

    def refined(self, side: int) -> "Field":
        """The same field on a finer grid."""
        finer = Field(side)
        places = np.stack(np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * 3, indexing="ij"), -1)
        corners, weights = self._corners(places.reshape(-1, 3))
        finer.raw = (self.raw[corners] * weights[..., None]).sum(1)
        return finer

    def prune(self) -> None:
        """Note which cells have density in or beside them; others are skipped from now on."""
        dense = (DENSITY * _softplus(self.raw[:, 0]) > MIN_DENSITY).reshape([self.side] * 3)
        for axis in range(3):
            dense = dense | np.roll(dense, 1, axis) | np.roll(dense, -1, axis)
        self.occupied = dense.ravel()

    def _corners(self, places: Array) -> tuple[NDArray[np.int64], Array]:
        """The eight corners around places of shape (n, 3), and their weights: both (n, 8)."""
        at = np.clip((places + 1) / 2 * (self.side - 1), 0, self.side - 1.001)
        low = at.astype(np.int64)
        part = (at - low).astype(np.float32)
        corners, weights = [], []
        for x in (0, 1):
            for y in (0, 1):
                for z in (0, 1):
                    corners.append(((low[:, 0] + x) * self.side + low[:, 1] + y) * self.side + low[:, 2] + z)
                    weights.append(np.prod(np.where((x, y, z), part, 1 - part), axis=1))
        return np.stack(corners, 1), np.stack(weights, 1).astype(np.float32)

    def render(self, rays: Rays, random: np.random.Generator | None = None) -> tuple[Array, Any]:
        """The rays' colours, shape (n, 3), and what `learn` needs. With `random`, steps are jittered."""
        near, far = within_sphere(rays)
        length = ((far - near) / STEPS)[:, None]
        jitter = random.random((len(near), STEPS), np.float32) if random else np.float32(0.5)
        along = near[:, None] + (np.arange(STEPS, dtype=np.float32) + jitter) * length
        places = (rays.origins[:, None] + along[..., None] * rays.directions[:, None]).reshape(-1, 3)
        nearest = np.rint((places + 1) / 2 * (self.side - 1)).astype(np.int64).clip(0, self.side - 1)
        kept = np.flatnonzero(self.occupied[(nearest[:, 0] * self.side + nearest[:, 1]) * self.side + nearest[:, 2]])
        corners, weights = self._corners(places[kept])
        raw = np.einsum("nc,nck->nk", weights, self.raw[corners])
        density = np.zeros((len(near), STEPS), np.float32)
        density.ravel()[kept] = DENSITY * _softplus(raw[:, 0])
        colours = np.zeros((len(near), STEPS, 3), np.float32)
        colours.reshape(-1, 3)[kept] = _sigmoid(raw[:, 1:])
        passed = np.exp(-np.cumsum(density * length, axis=1))  # the share of light that gets behind each step
        before = np.concatenate([np.ones((len(near), 1), np.float32), passed[:, :-1]], axis=1)
        seen = ((before - passed)[..., None] * colours).sum(1) + passed[:, -1:]
        return seen, (kept, corners, weights, raw, colours, before, passed, length)

    def learn(self, rays: Rays, rate: float, random: np.random.Generator) -> None:
        """A step of Adam towards the rays' colours."""
        seen, (kept, corners, weights, raw, colours, before, passed, length) = self.render(rays, random)
        error = 2 * (seen - rays.colours)
        of_colour = (before - passed)[..., None] * error[:, None]
        shares = (of_colour * colours).sum(2)  # of each step in the error
        behind = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1] - shares + passed[:, -1:] * error.sum(1, keepdims=True)
        of_density = length * (passed * (colours * error[:, None]).sum(2) - behind)
        slopes = np.empty_like(raw)
        slopes[:, 0] = of_density.ravel()[kept] * DENSITY * _sigmoid(raw[:, 0])
        own = colours.reshape(-1, 3)[kept]
        slopes[:, 1:] = of_colour.reshape(-1, 3)[kept] * own * (1 - own)
        gradient = np.empty_like(self.raw)
        for channel in range(4):
            spread = (weights * slopes[:, channel : channel + 1]).ravel()
            gradient[:, channel] = np.bincount(corners.ravel(), spread, len(self.raw))
        self._step += 1
        first, second = self._moments
        first += 0.1 * (gradient - first)
        second += 0.01 * (gradient**2 - second)
        mean, square = first / (1 - 0.9**self._step), second / (1 - 0.99**self._step)
        self.raw -= rate * mean / (np.sqrt(square) + 1e-8)


def _softplus(value: Array) -> Array:
    return np.logaddexp(0, value)


def _sigmoid(value: Array) -> Array:
    return 1 / (1 + np.exp(-value))


def psnr(field: Field, rays: Rays) -> float:
    """The mean PSNR in dB over all pixels of these rays."""
    errors = [
        ((field.render(part)[0] - part.colours) ** 2).mean(1)
        for part in (rays.some(slice(start, start + RAYS)) for start in range(0, len(rays.origins), RAYS))
    ]
    return -10 * math.log10(float(np.concatenate(errors).mean()))


def train(archive: Path, iterations: int, wrong: float = 0.0) -> float:
    """Train on a dataset; the PSNR on its test views. `wrong` is the error of the principal point in pixels."""
    random = np.random.default_rng(0)
    rays = read(archive, "train", wrong)
    near, far = within_sphere(rays)
    rays = rays.some(np.flatnonzero(far > near))
    field = Field(COARSE)
    for step in range(iterations):
        if step == iterations // 4:
            field.prune()
            field = field.refined(FINE)
        if step >= iterations // 8 and step % 25 == 0:
            field.prune()
        field.learn(
            rays.some(random.integers(0, len(rays.origins), RAYS)), LEARNING_RATE * DECAY ** (step / iterations), random
        )
    return psnr(field, read(archive, "test", wrong))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, default=MODELS)
    parser.add_argument("--iterations", type=int, default=300)
    arguments = parser.parse_args()
    request = parse({"output": "dataset", "coverage": "sphere", "views": VIEWS, "size": SIZE, "split": SPLIT})
    settings = Settings(engine="cycles", scale=SCALE, samples=SAMPLES)
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "dataset.zip"
            with local.dataset(model, request, archive, settings) as job:
                for _ in job.steps:
                    pass
            began = time.monotonic()
            right = train(archive, arguments.iterations)
            seconds = time.monotonic() - began
            shifted = train(archive, arguments.iterations, WRONG_PIXELS)
        found = {
            "model": model.name,
            "views": VIEWS,
            "pixels": round(SIZE * SCALE),
            "iterations": arguments.iterations,
            "held_out_psnr": round(right, 2),
            f"held_out_psnr_{WRONG_PIXELS}_pixels_off": round(shifted, 2),
            "seconds": round(seconds),
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

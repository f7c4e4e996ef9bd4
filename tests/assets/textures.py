"""Textures for the sample models, drawn with numpy and Pillow: woven cloth, a radio's dial, stone."""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def woven_cloth(path: Path, *, size: int = 256, threads: int = 16) -> Path:
    """A plain weave of two yarns that tiles without a seam."""
    grid = np.arange(size) / size * threads
    across, down = np.meshgrid(grid, grid)
    over = (np.floor(across) + np.floor(down)) % 2 < 1
    along = np.where(over, across, down) % 1.0
    width = np.where(over, down, across) % 1.0
    # A yarn is round across its width and dips under its neighbour at both ends.
    light = np.sqrt(np.clip(1 - (2 * width - 1) ** 2, 0, 1)) * (0.62 + 0.38 * np.sin(along * math.pi))
    grain = np.random.default_rng(7).normal(0, 0.035, (size, size))
    light = np.clip(0.30 + 0.70 * light + grain, 0, 1)[..., None]
    warp, weft = np.array([196.0, 188.0, 174.0]), np.array([150.0, 146.0, 138.0])
    colour = np.where(over[..., None], warp, weft) * light
    Image.fromarray(colour.astype(np.uint8)).save(path, quality=82, optimize=True)
    return path


def dial(path: Path, *, size: int = 384) -> Path:
    """A cream tuning scale with ticks all round three quarters of it and an orange needle."""
    big = size * 4
    image = Image.new("RGB", (big, big), (240, 232, 214))
    draw = ImageDraw.Draw(image)
    centre = big / 2

    def spot(angle: float, radius: float) -> tuple[float, float]:
        return centre + math.cos(angle) * radius * centre, centre + math.sin(angle) * radius * centre

    start, sweep = math.radians(135), math.radians(270)
    for tick in range(61):
        angle = start + sweep * tick / 60
        inner = 0.70 if tick % 10 == 0 else 0.76 if tick % 5 == 0 else 0.81
        draw.line([spot(angle, inner), spot(angle, 0.88)], fill=(44, 42, 40), width=18 if tick % 10 == 0 else 8)
    arc = (centre * 0.40, centre * 0.40, centre * 1.60, centre * 1.60)
    draw.arc(arc, 135, 45, fill=(44, 42, 40), width=8)
    angle = start + sweep * 0.63
    draw.line([spot(angle, 0.2), spot(angle, 0.86)], fill=(226, 84, 38), width=30)
    image.resize((size, size), Image.Resampling.LANCZOS).save(path, quality=88, optimize=True)
    return path


def stone(path: Path, *, size: int = 256) -> Path:
    """Speckled grey-brown granite."""
    random = np.random.default_rng(11)
    rough = Image.fromarray(random.integers(0, 255, (size, size), dtype=np.uint8))
    soft = np.asarray(rough.filter(ImageFilter.GaussianBlur(6)), dtype=np.float64)
    fine = np.asarray(rough.filter(ImageFilter.GaussianBlur(1)), dtype=np.float64)
    light = np.clip(0.55 + (soft - soft.mean()) / 50 + (fine - fine.mean()) / 300, 0.15, 1)[..., None]
    Image.fromarray((np.array([176.0, 160.0, 142.0]) * light).astype(np.uint8)).save(path, quality=80, optimize=True)
    return path

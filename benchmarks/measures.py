"""Measures of the similarity of two pictures: PSNR and SSIM."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float64]


def psnr(one: Picture, other: Picture) -> float:
    """Peak signal-to-noise ratio in decibels of values from 0 to 255."""
    error = float(np.mean((one - other) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def ssim(one: Picture, other: Picture, mask: NDArray[np.bool_] | None = None) -> float:
    """Mean structural similarity of two grey pictures, 0 to 255, over `mask` or all of it.

    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment (2004), equation 13, with a square window of 7 pixels.
    """
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_one, mean_other = _windowed(one), _windowed(other)
    variance_one = _windowed(one * one) - mean_one**2
    variance_other = _windowed(other * other) - mean_other**2
    covariance = _windowed(one * other) - mean_one * mean_other
    structure = (2 * covariance + c2) / (variance_one + variance_other + c2)
    index = structure * (2 * mean_one * mean_other + c1) / (mean_one**2 + mean_other**2 + c1)
    return float(index[mask].mean() if mask is not None else index.mean())


def grey(rgb: NDArray[np.uint8] | Picture) -> Picture:
    """Luma of a picture (height, width, 3), 0 to 255, ITU-R BT.709."""
    luma: Picture = rgb[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    return luma


def _windowed(values: Picture, reach: int = 3) -> Picture:
    """The mean of the window around every pixel; values at the border are repeated beyond it."""
    padded = np.pad(values, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    means: Picture = windows.mean(axis=(-1, -2))
    return means

"""Both engines give the same picture of the same model."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.measures import Picture, grey, ssim
from farm.blender.client import BlenderHost
from tests.support.blender import draw, shot

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("model", ["product.glb", "walker.glb"])
def test_draws_similar_pictures_with_eevee_and_cycles(host: BlenderHost, model: str) -> None:
    """SSIM of at least 0.90. Many samples: what is left of noise and of coarse texture filtering says nothing here."""
    cycles, eevee = (
        draw(host, shot(model, size=(240, 136), samples=64 if engine == "cycles" else 16, engine=engine), 30.0)[0].whole
        for engine in ("cycles", "eevee")
    )
    subject = cycles[..., 3] > 127
    assert np.count_nonzero(subject ^ (eevee[..., 3] > 127)) < 0.02 * np.count_nonzero(subject)
    assert ssim(over_white(cycles), over_white(eevee), subject) >= 0.90


def over_white(drawn: NDArray[np.uint8]) -> Picture:
    flat = Image.new("RGB", (240, 136), "white")
    flat.paste(Image.fromarray(drawn), mask=Image.fromarray(drawn))
    return grey(np.asarray(flat))

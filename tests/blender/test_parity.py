"""Both engines give the same picture of the same model."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.measures import Picture, grey, ssim
from farm.blender.host_process import BlenderHost
from farm.scene.shot import Engine
from tests.support.blender import draw_frames, shot

pytestmark = pytest.mark.slow
SIZE = (160, 90)


@pytest.mark.parametrize("model", ["product.glb", "walker.glb"])
def test_draws_similar_pictures_with_eevee_and_cycles(host: BlenderHost, model: str) -> None:
    """SSIM of at least 0.90. Many samples, because noise and coarse texture filtering are not compared here."""

    def draw(engine: Engine, samples: int) -> NDArray[np.uint8]:
        [drawing] = draw_frames(host, shot(model, size=SIZE, samples=samples, engine=engine), 30.0)
        return drawing.whole

    cycles, eevee = draw("cycles", 64), draw("eevee", 16)
    subject = cycles[..., 3] > 127
    assert np.count_nonzero(subject ^ (eevee[..., 3] > 127)) < 0.02 * np.count_nonzero(subject)
    colours = [whole[subject, :3].mean(axis=0) for whole in (cycles, eevee)]
    assert colours[0] == pytest.approx(colours[1], abs=25)
    assert ssim(over_white(cycles), over_white(eevee), subject) >= 0.90


def over_white(drawn: NDArray[np.uint8]) -> Picture:
    flat = Image.new("RGB", SIZE, "white")
    flat.paste(Image.fromarray(drawn), mask=Image.fromarray(drawn))
    return grey(np.asarray(flat))

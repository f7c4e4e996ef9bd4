"""The fade of what lies on the floor towards the frame's edges, so that no edge cuts a shadow or a mirror image."""

import numpy as np
from numpy.typing import NDArray

FADE = 0.12  # the depth of the fade as a share of the frame's shorter side; the margin around the subject is 0.08


def fade(left: int, top: int, right: int, bottom: int, width: int, height: int) -> NDArray[np.float32]:
    """Factors from 0 at the frame's edge to 1 inside, of shape (bottom - top, right - left), for a box of pixels.

    The frame has `width` x `height` pixels.
    """
    reach = FADE * min(width, height)
    across, down = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    columns = _smoothstep(np.minimum(across, width - across) / reach)
    rows = _smoothstep(np.minimum(down, height - down) / reach)
    return (rows[:, None] * columns).astype(np.float32)


def _smoothstep(share: NDArray[np.float64]) -> NDArray[np.float64]:
    inside: NDArray[np.float64] = np.clip(share, 0, 1)
    return inside * inside * (3 - 2 * inside)

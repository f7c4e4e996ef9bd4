"""Compositing over a background: exact colours, exact blending, and the order of layers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from farm.scene import edges
from farm.scene.shot import Frame
from farm.video import backgrounds
from farm.video.composite import Compositor, mask
from farm.video.layers import DeepPixels, Pixels, to_8_bits
from tests.video.frames import CLEAR, HEIGHT, STEEP, WIDTH, all_dark, frame, mirrored, shadow_map

BACKGROUND = (200, 100, 50)


def composite(drawn: Frame, vignette: float = 0) -> Pixels:
    return Compositor(backgrounds.plain(BACKGROUND, WIDTH, HEIGHT), vignette).over(drawn)


def scene(folder: Path) -> Frame:
    """A frame with all layers, each smaller than the frame."""
    rng = np.random.default_rng(1)
    dark = shadow_map(folder, np.full((64, 64), 0.4, dtype=np.float32), extent=0.5)
    subject = rng.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    return mirrored(
        frame(folder, subject, STEEP, at=(30, 10), shadow=dark),
        folder,
        rng.integers(0, 256, (15, 30, 4)).astype(np.uint8),
        (30, 25),
    )


class TestForeground:
    @pytest.mark.parametrize("vignette", [0, 0.7])
    def test_lies_over_the_finished_frame_with_its_alpha(self, tmp_path: Path, vignette: float) -> None:
        above = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
        above.paste((10, 20, 30, 255), (0, 0, 40, 20))
        above.paste((10, 20, 30, 128), (40, 0, 80, 20))
        compositor = Compositor(backgrounds.plain(BACKGROUND, WIDTH, HEIGHT), vignette, above)
        drawn = scene(tmp_path)
        for seen, below in [
            (compositor.over(d).astype(int), composite(d, vignette).astype(int)) for d in (drawn, drawn)
        ]:
            assert (seen[:20, :40] == (10, 20, 30)).all(), "opaque: over subject and vignette"
            mixed = (below[:20, 40:80] * 127 + np.array([10, 20, 30]) * 128) / 255
            assert np.abs(seen[:20, 40:80] - mixed).max() <= 1
            assert (seen[20:] == below[20:]).all(), "transparent: the frame as it was"

    def test_covers_its_frame_from_its_anchor_without_dark_edges(self, tmp_path: Path) -> None:
        picture = Image.new("RGBA", (20, 60), (0, 0, 0, 0))
        picture.paste((255, 255, 255, 255), (0, 50, 20, 60))
        picture.save(tmp_path / "logo.png")
        above = np.asarray(
            backgrounds.foreground(backgrounds.OverlayPicture(tmp_path / "logo.png", "bottom-center"), 200, 150)
        )
        assert above.shape == (150, 200, 4)
        assert (above[-20:, :, 3] == 255).all()
        assert (above[:20, :, 3] == 0).all()
        assert (above[above[..., 3] > 0][:, :3] == 255).all(), "a soft edge stays white"


class TestBackground:
    def test_is_exact_where_nothing_covers_it(self, tmp_path: Path) -> None:
        empty = shadow_map(tmp_path, np.zeros((64, 64), dtype=np.float32))
        for thrown in (None, empty):
            assert (composite(frame(tmp_path, shadow=thrown)) == BACKGROUND).all()

    def test_is_untouched_outside_the_subject(self, tmp_path: Path) -> None:
        subject = np.full((5, 7, 4), 255, dtype=np.uint8)
        picture = composite(frame(tmp_path, subject, at=(10, 20)))
        assert (picture[20:25, 10:17] == 255).all()
        picture[20:25, 10:17] = BACKGROUND
        assert (picture == BACKGROUND).all()

    @pytest.mark.parametrize("vignette", [0, 0.7])
    def test_is_restored_after_the_previous_frame(self, tmp_path: Path, vignette: float) -> None:
        compositor = Compositor(backgrounds.plain(BACKGROUND, WIDTH, HEIGHT), vignette)
        compositor.over(scene(tmp_path))
        assert (compositor.over(frame(tmp_path)) == composite(frame(tmp_path), vignette)).all()

    def test_may_be_a_picture(self, tmp_path: Path) -> None:
        picture = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        compositor = Compositor(Image.fromarray(picture), 0)
        half = np.full((4, 5, 4), (10, 20, 30, 128), dtype=np.uint8)
        seen = compositor.over(frame(tmp_path, half, at=(7, 9))).copy()
        part = picture[9:13, 7:12]
        assert (seen[9:13, 7:12] == np.floor(half[..., :3] * (128 / 255) + part * (127 / 255) + 0.5)).all()
        seen[9:13, 7:12] = part
        assert (seen == picture).all()

    def test_is_darkened_by_the_shadow(self, tmp_path: Path) -> None:
        picture = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        dark = shadow_map(tmp_path, np.full((64, 64), 0.6, dtype=np.float32), extent=20.0)
        seen = Compositor(Image.fromarray(picture), 0).over(frame(tmp_path, CLEAR, STEEP, shadow=dark))
        opacity = 0.6 * edges.fade(0, 0, WIDTH, HEIGHT, WIDTH, HEIGHT)[..., None]
        assert np.abs(seen - picture * (1 - opacity)).max() <= 1.01


class TestSubject:
    def test_blends_every_pair_of_bytes_exactly_at_every_alpha(self, tmp_path: Path) -> None:
        above, below = (side.astype(np.uint8) for side in np.meshgrid(np.arange(256), np.arange(256)))
        background = Image.fromarray(np.stack([below] * 3, axis=-1))
        compositor = Compositor(background, 0)
        for alpha in range(0, 256, 3):
            subject = np.stack([above, above, above, np.full_like(above, alpha)], axis=-1)
            picture = compositor.over(frame(tmp_path, subject))
            expected = np.floor((above.astype(int) * alpha + below.astype(int) * (255 - alpha)) / 255 + 0.5)
            assert (picture[..., 0] == expected).all()
            assert (picture == picture[..., :1]).all()

    def test_replaces_the_background_where_it_is_opaque(self, tmp_path: Path) -> None:
        subject = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
        subject[..., 3] = 255
        assert (composite(frame(tmp_path, subject)) == subject[..., :3]).all()

    def test_leaves_the_background_where_it_is_clear(self, tmp_path: Path) -> None:
        subject = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
        subject[..., 3] = 0
        assert (composite(frame(tmp_path, subject)) == BACKGROUND).all()

    def test_rounds_16_bit_layers(self, tmp_path: Path) -> None:
        deep = np.random.default_rng(1).integers(0, 65536, (9, 8, 4)).astype(np.uint16)
        flat = np.rint(deep / 257).astype(np.uint8)
        one = composite(frame(tmp_path, deep, at=(3, 4)))
        assert (one == composite(frame(tmp_path, flat, at=(3, 4)))).all()


class TestOrder:
    def test_is_subject_over_mirror_image_over_shadow(self, tmp_path: Path) -> None:
        subject = np.full((4, 4, 4), (9, 8, 7, 255), dtype=np.uint8)
        mirror = np.full((8, 4, 4), (90, 80, 70, 255), dtype=np.uint8)
        drawn = frame(tmp_path, subject, STEEP, at=(40, 25), shadow=all_dark(tmp_path))
        picture = composite(mirrored(drawn, tmp_path, mirror, (40, 25)))
        assert (picture[25:29, 40:44] == (9, 8, 7)).all()
        assert (picture[29:33, 40:44] == (90, 80, 70)).all()
        assert (picture[24, 40] == 0).all()

    def test_lets_the_shadow_through_a_faded_mirror_image(self, tmp_path: Path) -> None:
        mirror = np.full((4, 4, 4), (90, 80, 70, 51), dtype=np.uint8)
        drawn = frame(tmp_path, CLEAR, STEEP, shadow=all_dark(tmp_path))
        assert (composite(mirrored(drawn, tmp_path, mirror, (40, 25)))[26, 41] == (18, 16, 14)).all()


class TestVignette:
    def test_darkens_the_whole_picture_and_not_only_the_background(self, tmp_path: Path) -> None:
        plain, dark = composite(scene(tmp_path)).astype(float), composite(scene(tmp_path), 1.0).astype(float)
        x, y = (np.arange(WIDTH) + 0.5) / WIDTH * 2 - 1, (np.arange(HEIGHT) + 0.5) / HEIGHT * 2 - 1
        r = np.hypot(x, y[:, None]) / 2**0.5
        assert np.abs(dark - plain * (1 - r**2 * (3 - 2 * r))[..., None]).max() < 1.02


class TestSamples:
    def test_round_a_mask_to_nearest(self) -> None:
        assert np.asarray(mask(np.array([[0.0, 1.0, 0.5, 0.3]], dtype=np.float32))).tolist() == [[0, 255, 128, 77]]

    def test_round_16_bits_to_8(self) -> None:
        every = np.arange(65536, dtype=np.uint16)
        assert (to_8_bits(every) == np.floor(every / 257 + 0.5)).all()

    @settings(deadline=None)
    @given(arrays.arrays(np.uint16, (3, 4, 4)), st.integers(0, 2))
    def test_keep_channels_independent(self, deep: DeepPixels, channel: int) -> None:
        other = deep.copy()
        other[..., channel] ^= 0xFFFF
        differ = (to_8_bits(deep) != to_8_bits(other)).any(axis=(0, 1))
        assert not np.delete(differ, channel).any()

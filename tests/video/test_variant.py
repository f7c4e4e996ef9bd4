"""Compositing and encoding a render: its files, and their pictures in editors and players."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

from farm.errors import EncodingFailed
from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import RenderSettings, parse
from farm.settings import Settings
from farm.tiers import TIERS
from farm.video.backgrounds import OverlayPicture
from farm.video.run import executable
from farm.video.variant import Files, Variant
from tests.video.frames import DISC_COLOUR, disc

FFMPEG = executable(None)
GREY = (240, 240, 240)
BT709, LIMITED = 1, 1
BACKGROUNDS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 0, 0)]
Values = NDArray[np.float64]


def order(tier: str, **settings: object) -> tuple[ShotSpec, RenderSettings]:
    """A small shot of this tier, 160x90 pixels, and its render settings."""
    render_settings = parse({"quality": tier, "bgColor": "#f0f0f0", **settings})
    spec = plan.shot("a" * 64, render_settings, Settings(fps=4))
    return replace(spec, width=160, height=90), render_settings


def make(folder: Path, tier: str, picture: OverlayPicture | None = None, **settings: object) -> Files:
    spec, render_settings = order(tier, **settings)
    files = Files(folder, tier)
    with Variant(spec, render_settings, picture, files, FFMPEG) as variant:
        for number in range(5):
            variant.write(disc(folder, TIERS[tier].bits, number))
    return files


def frames(path: Path, pixel_format: str = "rgb24") -> list[NDArray[Any]]:
    """The decoded frames, as a player that follows the tags shows them."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=pixel_format) for frame in container.decode(video=0)]


class TestFiles:
    @pytest.mark.parametrize(
        ("tier", "sizes"),
        [
            ("share", {"video": (160, 90), "thumb": (40, 22)}),
            ("standard", {"video": (160, 90), "web": (80, 44), "thumb": (40, 22)}),
            ("4k", {"video": (160, 90), "web": (80, 44), "thumb": (40, 22)}),
            ("pro", {"video": (160, 90), "web": (80, 44), "thumb": (40, 22)}),
        ],
    )
    def test_have_the_tiers_sizes_and_every_frame(
        self, tmp_path: Path, tier: str, sizes: dict[str, tuple[int, int]]
    ) -> None:
        files = make(tmp_path, tier)
        assert files.videos.keys() == sizes.keys()
        for kind, path in files.videos.items():
            with av.open(str(path)) as container:
                [video] = container.streams.video
                assert not container.streams.audio
                assert (video.codec_context.width, video.codec_context.height) == sizes[kind]
                assert len(list(container.decode(video))) == 5
                assert path.suffix == (".mov" if video.codec_context.name == "prores" else ".mp4")
        with Image.open(files.posters["poster-full"]) as poster:
            assert (poster.size, poster.mode) == ((160, 90), "RGB")
        with Image.open(files.posters["thumb-still"]) as still:
            assert (still.size, still.format) == (sizes["thumb"], "JPEG")

    def test_include_the_first_frame_as_posters(self, tmp_path: Path) -> None:
        spec, render_settings = order("share")
        large = replace(spec, width=960, height=540)
        files = Files(tmp_path, "share")
        with Variant(large, render_settings, None, files, FFMPEG) as variant:
            variant.write(disc(tmp_path, 8))
            assert Image.open(files.posters["poster"]).size == (480, 270)
            poster = files.posters["poster-full"].read_bytes()
            variant.write(disc(tmp_path, 8, 30))
        assert files.posters["poster-full"].read_bytes() == poster

    def test_include_the_last_frame_as_posters_without_a_loop(self, tmp_path: Path) -> None:
        spec, render_settings = order("share", effect="reveal")
        files = Files(tmp_path, "share")
        variant = Variant(spec, render_settings, None, files, FFMPEG)
        variant.save_posters(disc(tmp_path, 8, spec.frames - 1))
        last = files.posters["poster-full"].read_bytes()
        with variant:
            variant.write(disc(tmp_path, 8, 0))
            assert files.posters["poster-full"].read_bytes() == last
            files.posters["poster-full"].unlink()
            variant.write(disc(tmp_path, 8, spec.frames - 1))
        assert files.posters["poster-full"].read_bytes() == last


class TestBackground:
    @pytest.mark.parametrize("tier", ["share", "pro"])
    def test_is_exact_in_the_poster_and_within_2_in_every_video(self, tmp_path: Path, tier: str) -> None:
        files = make(tmp_path, tier, bgColor="#12ab9f")
        corners = ([0, 0, -1, -1], [0, -1, 0, -1])
        assert (np.asarray(Image.open(files.posters["poster-full"]))[corners] == (0x12, 0xAB, 0x9F)).all()
        for path in files.videos.values():
            if path.suffix == ".mp4":
                for frame in frames(path):
                    assert np.abs(frame[corners].astype(int) - (0x12, 0xAB, 0x9F)).max() <= 2

    def test_covers_the_frame_with_a_picture_from_its_anchor(self, tmp_path: Path) -> None:
        picture = Image.new("RGB", (10, 30), (255, 0, 0))
        picture.paste((0, 0, 255), (0, 20, 10, 30))
        picture.save(tmp_path / "overlay.png")
        files = make(tmp_path, "share", OverlayPicture(tmp_path / "overlay.png", "bottom-center"))
        poster = np.asarray(Image.open(files.posters["poster-full"]))
        assert (poster[[0, -1], [0, -1]] == (0, 0, 255)).all()

    def test_darkens_every_file_by_the_vignette(self, tmp_path: Path) -> None:
        files = make(tmp_path, "standard", vignette=1.0)
        assert np.asarray(Image.open(files.posters["poster-full"]))[0, 0].max() < 5
        for path in files.videos.values():
            assert frames(path)[0][0, 0].max() < 30


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("pro"), "pro", bgColor="#ff00ff").videos["video"]


@pytest.fixture(scope="module")
def decoded(movie: Path) -> list[Values]:
    """Straight RGBA in [0, 1]."""
    return [frame / 65535 for frame in frames(movie, "rgba64le")]


class TestProRes:
    def test_is_4444_with_alpha_in_apples_format(self, movie: Path) -> None:
        with av.open(str(movie)) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.profile, context.codec_tag) == ("prores", "4444", "ap4h")
            assert context.pix_fmt in ("yuva444p10le", "yuva444p12le")
            assert (context.colorspace, context.color_primaries, context.color_trc) == (BT709, BT709, BT709)
            assert context.color_range == LIMITED
        content = movie.read_bytes()
        nclc = content.index(b"colrnclc") + 8
        assert content[nclc : nclc + 6] == bytes([0, 1, 0, 1, 0, 1]), "BT.709 primaries, transfer, matrix"
        header = content.index(b"icpf") + 4  # a frame of Apple's ProRes: SMPTE RDD 36, 6.1
        assert content[header + 4 : header + 8] == b"apl0"

    def test_is_transparent_in_the_corner_and_opaque_inside(self, decoded: list[Values]) -> None:
        for number, frame in enumerate(decoded):
            assert (frame[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()
            inside = frame[20:60, 65 + number : 95 + number]
            assert (inside[..., 3] > 0.999).all()
            assert np.abs(inside[..., :3] - DISC_COLOUR).max() < 3 / 255

    def test_contains_the_soft_shadow_as_black(self, decoded: list[Values]) -> None:
        shadow = decoded[0][72:80, 60:100]
        assert 0.2 < shadow[..., 3].max() < 0.6
        assert np.abs(shadow[..., :3] * shadow[..., 3:]).max() < 2 / 255

    def test_has_the_foreground_with_its_alpha(self, tmp_path: Path) -> None:
        logo = Image.new("RGBA", (160, 90), (0, 0, 0, 0))
        logo.paste((0, 0, 255, 128), (0, 0, 80, 90))
        logo.save(tmp_path / "logo.png")
        spec, render_settings = order("pro")
        files, above = Files(tmp_path, "pro"), OverlayPicture(tmp_path / "logo.png", "center")
        with Variant(spec, render_settings, None, files, FFMPEG, foreground=above) as variant:
            variant.write(disc(tmp_path, 16))
        [frame] = frames(files.videos["video"], "rgba64le")
        assert np.abs(frame[5, 20] / 65535 - (0, 0, 1, 0.5)).max() < 0.02
        assert frame[5, 120, 3] == 0
        assert frame[40, 75, 3] > 65000, "over the opaque subject"
        assert np.abs(frame[40, 75, :3] / 65535 - (DISC_COLOUR + np.array([0, 0, 1])) / 2).max() < 0.02
        poster = np.asarray(Image.open(files.posters["poster-full"]))
        assert np.abs(poster[5, 20].astype(int) - (120, 120, 248)).max() <= 2

    @pytest.mark.parametrize("background", BACKGROUNDS)
    def test_has_no_fringe_on_any_background(self, decoded: list[Values], background: tuple[int, int, int]) -> None:
        """Every pixel lies in the triangle of subject, background and black: no other colours appear."""
        for frame in decoded:
            assert (
                beyond_triangle(composite(frame, background), DISC_COLOUR, np.array(background, float)).max() < 3 / 255
            )

    @pytest.mark.parametrize("background", BACKGROUNDS)
    def test_keeps_the_subjects_colour_up_to_its_edge(self, tmp_path: Path, background: tuple[int, int, int]) -> None:
        """Black at zero alpha would bleed in by twice as much."""
        spec, render_settings = order("pro")
        files = Files(tmp_path, "pro")
        with Variant(spec, render_settings, None, files, FFMPEG) as variant:
            variant.write(replace(disc(tmp_path, 16), shadow=None))
        [frame] = frames(files.videos["video"], "rgba64le")
        assert (
            beyond_triangle(composite(frame / 65535, background), DISC_COLOUR, np.array(background, float)).max()
            < 0.7 / 255
        )


def composite(frame: Values, background: tuple[int, int, int]) -> Values:
    """The straight-alpha frame composited over a colour, as in an editor: one row per pixel."""
    alpha = frame[..., 3:]
    return np.asarray(frame[..., :3] * alpha + np.array(background) * (1 - alpha)).reshape(-1, 3)


def beyond_triangle(colours: Values, one: Values, other: Values) -> Values:
    """The distance of each colour from the triangle of `one`, `other` and black."""
    best = np.full(len(colours), np.inf)
    sides = np.stack([one, other], axis=1)
    weights = colours @ np.linalg.pinv(sides).T
    inside = (weights >= 0).all(axis=1) & (weights.sum(axis=1) <= 1)
    best[inside] = np.linalg.norm(colours - weights @ sides.T, axis=1)[inside]
    for start, end in ((one, other), (np.zeros(3), one), (np.zeros(3), other)):
        along = end - start
        length = max(float(along @ along), 1e-12)
        step = np.clip((colours - start) @ along / length, 0, 1)[:, None]
        best = np.minimum(best, np.linalg.norm(colours - start - step * along, axis=1))
    return best


class TestFailure:
    def test_ends_all_encoders_with_the_reason(self, tmp_path: Path) -> None:
        spec, render_settings = order("pro")
        files = Files(tmp_path, "pro")
        files.videos["video"].mkdir()  # where ffmpeg is to write a file

        def write() -> None:
            with Variant(spec, render_settings, None, files, FFMPEG):
                pass

        with pytest.raises(EncodingFailed, match="Is a directory"):
            write()

    def test_starts_no_ffmpeg_before_the_block(self, tmp_path: Path) -> None:
        spec, render_settings = order("pro")
        Variant(spec, render_settings, None, Files(tmp_path, "pro"), Path("/no/such/ffmpeg"))


@pytest.fixture(autouse=True)
def check_that_no_ffmpeg_is_left() -> Iterator[None]:
    yield
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]

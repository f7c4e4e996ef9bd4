"""A video encoded in chunks and joined equals the video encoded in one run."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import RenderSettings, parse
from farm.scene.shot import Frame
from farm.settings import Settings
from farm.tiers import TIERS
from farm.video import backgrounds, graphs
from farm.video.composite import Compositor
from farm.video.run import Encoder, executable
from farm.video.variant import Files, Variant
from tests.video.frames import disc

FFMPEG = executable(None)
FRAMES, FPS = 75, 25
PARTS = [range(25), range(25, 50), range(50, 75)]


def order(tier: str) -> tuple[ShotSpec, RenderSettings]:
    render_settings = parse({"quality": tier, "length": FRAMES / FPS})
    return replace(plan.shot("a" * 64, render_settings, Settings(fps=FPS)), width=320, height=180), render_settings


def grainy(folder: Path, bits: int, number: int) -> Frame:
    """A moving disc with strong noise, which is hard to encode."""
    frame = disc(folder, bits, number)
    pixels = np.fromfile(frame.subject.path, f"<u{bits // 8}").reshape(61, 60, 4)
    grain = np.random.default_rng(number).integers(0, 2**bits, (61, 60, 3))
    pixels[..., :3] = (pixels[..., :3] * 0.75 + grain * 0.25).astype(pixels.dtype)
    pixels.tofile(frame.subject.path)
    return frame


def encoded(folder: Path, tier: str, numbers: range) -> Files:
    spec, render_settings = order(tier)
    folder.mkdir()
    files = Files(folder, tier)
    with Variant(spec, render_settings, None, files, FFMPEG) as variant:
        for number in numbers:
            variant.write(grainy(folder, TIERS[tier].bits, number))
    return files


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Files]:
    """Returns the joined files of a tier, encoded at their first use."""
    return cache(lambda tier: join(tmp_path_factory.mktemp(tier), tier))


def join(folder: Path, tier: str) -> Files:
    parts = [encoded(folder / f"part-{numbers.start}", tier, numbers) for numbers in PARTS]
    whole = Files(folder / "joined", tier)
    whole.folder.mkdir()
    for kind, path in whole.videos.items():
        segments = [part.videos[kind] for part in parts]
        with Encoder(FFMPEG, graphs.join(segments, path.with_suffix(".txt"), path), whole.folder, segments):
            pass
    return whole


def pictures(path: Path) -> NDArray[Any]:
    with av.open(str(path)) as container:
        return np.array([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def packets(path: Path) -> list[bytes]:
    """The encoded packets."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize("tier", ["standard", "pro"])
def test_keeps_every_frames_time_and_the_tags(joined: Callable[[str], Files], tier: str) -> None:
    for kind, path in joined(tier).videos.items():
        with av.open(str(path)) as container:
            [stream] = container.streams.video
            times = [frame.time for frame in container.decode(stream)]
            assert times == pytest.approx([number / FPS for number in range(FRAMES)], abs=1e-6), kind
            assert stream.frames == FRAMES
            assert stream.average_rate == FPS
            assert stream.duration
            assert stream.time_base
            assert stream.duration * stream.time_base == Fraction(FRAMES, FPS)
            context = stream.codec_context
            assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1), "BT.709"


def test_keeps_prores_frames_identical(joined: Callable[[str], Files], tmp_path: Path) -> None:
    alone, together = encoded(tmp_path / "alone", "pro", range(FRAMES)), joined("pro")
    assert packets(alone.videos["video"]) == packets(together.videos["video"])


def test_keeps_h264_as_good_and_as_small(joined: Callable[[str], Files], tmp_path: Path) -> None:
    files = encoded(tmp_path / "alone", "standard", range(FRAMES)), joined("standard")
    compositor = Compositor(backgrounds.plain((255, 255, 255), 320, 180), 0.0)
    truth = np.array([compositor.over(grainy(tmp_path, 8, number)).copy() for number in range(FRAMES)])
    alone, together = (psnr(truth, pictures(each.videos["video"])) for each in files)
    assert together >= alone - 0.2
    small, large = (each.videos["video"].stat().st_size for each in files)
    assert large <= 1.05 * small


def psnr(truth: NDArray[Any], seen: NDArray[Any]) -> float:
    """In dB, over all frames."""
    return float(10 * np.log10(255**2 / np.mean((truth.astype(float) - seen) ** 2)))

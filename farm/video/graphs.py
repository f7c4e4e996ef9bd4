"""Command lines for ffmpeg, built by pure functions; farm.video.run runs them."""

from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from farm.orders.plan import even

# One key frame per second and no others keeps every GOP closed, as joining without re-encoding requires.
H264 = {
    "vcodec": "libx264",
    "profile:v": "high",
    "pix_fmt": "yuv420p",
    "preset": "medium",
    "sc_threshold": 0,
    "flags": "+cgop",
    "movflags": "+faststart",
    "map_metadata": -1,
}
# A constant quantiser encodes four times as fast as the encoder's own rate control (docs/performance.md).
PRORES_4444 = {
    "vcodec": "prores_ks",
    "profile:v": 4,
    "pix_fmt": "yuva444p10le",
    "alpha_bits": 16,
    "vendor": "apl0",
    "qscale:v": 2,
    "movflags": "+faststart+write_colr",
    "map_metadata": -1,
}
VIDEO_CRF, WEB_CRF, THUMB_CRF = 18, 23, 24


@dataclass(frozen=True)
class Output:
    """An H.264 file to write: its size in pixels, and x264's constant rate factor (lower is better and larger)."""

    path: Path
    width: int
    height: int
    crf: int


def video(path: Path, width: int, height: int) -> Output:
    """The delivered video, visually lossless."""
    return Output(path, width, height, VIDEO_CRF)


def web(path: Path, width: int, height: int) -> Output:
    """The lighter variant for web pages: half of each side, rounded to even."""
    return Output(path, even(width / 2), even(height / 2), WEB_CRF)


def thumb(path: Path, width: int, height: int) -> Output:
    """The thumbnail: a quarter of each side, rounded to even."""
    return Output(path, even(width / 4), even(height / 4), THUMB_CRF)


def h264(outputs: list[Output], *, width: int, height: int, fps: int) -> list[str]:
    """Arguments for raw RGB frames on stdin (height x width x 3 bytes each) into two or more files at once."""
    frames = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=fps)
    copies = frames.filter_multi_output("split", len(outputs))
    files = [
        ffmpeg.output(
            _limited(copies[number], file.width, file.height, "yuv420p"), str(file.path), crf=file.crf, g=fps, **H264
        )
        for number, file in enumerate(outputs)
    ]
    arguments: list[str] = ffmpeg.merge_outputs(*files).global_args("-loglevel", "error", "-y").get_args()
    return arguments


def prores(path: Path, *, width: int, height: int, fps: int) -> list[str]:
    """Arguments for raw straight-alpha RGBA frames on stdin into a .mov.

    A frame is height x width x 4 samples of 16 bits, little endian.
    """
    frames = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgba64le", s=f"{width}x{height}", framerate=fps)
    file = ffmpeg.output(_limited(frames, width, height, "yuva444p10le"), str(path), **PRORES_4444)
    arguments: list[str] = file.global_args("-loglevel", "error", "-y").get_args()
    return arguments


def join(segments: list[Path], listing: Path, into: Path) -> list[str]:
    """Arguments that join encoded segments in order without re-encoding. Writes their paths to `listing`."""
    quoted = (str(segment.absolute()).replace("'", r"'\''") for segment in segments)
    listing.write_text("".join(f"file '{path}'\n" for path in quoted))
    joined = ffmpeg.input(str(listing), format="concat", safe=0)
    file = ffmpeg.output(joined, str(into), c="copy", movflags="+faststart+write_colr", map_metadata=-1)
    arguments: list[str] = file.global_args("-loglevel", "error", "-y").get_args()
    return arguments


def _limited(stream: ffmpeg.Stream, width: int, height: int, pixel_format: str) -> ffmpeg.Stream:
    """Full-range RGB to limited-range BT.709: swscale's own default would be BT.601 and shift every colour."""
    scaled = stream.filter(
        "scale", width, height, flags="lanczos+accurate_rnd", in_range="full", out_range="tv", out_color_matrix="bt709"
    )
    # The tags are set on the frames, because the encoder ignores stream options on the command line.
    tags = {"range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    return scaled.filter("format", pixel_format).filter("setparams", **tags)

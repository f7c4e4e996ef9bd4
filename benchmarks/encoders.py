"""Compares a GPU's H.264 encoder, NVIDIA's NVENC, with x264 as the farm uses it, at equal quality."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measures import grey, psnr, ssim
from farm.settings import Settings
from farm.video.graphs import VIDEO_CRF
from farm.video.run import executable

Picture = NDArray[np.uint8]

X264 = ("libx264", "-preset", "medium", "-crf", str(VIDEO_CRF))
# Constant quality in its slower, better mode; 15 encode as fast, at most 51.
NVENC = ("h264_nvenc", "-preset", "p6", "-tune", "hq", "-rc", "vbr", "-b:v", "0", "-cq")
QUALITIES = range(30, 9, -2)  # of NVENC, from small files to good ones
TO_VIDEO = "scale=in_range=full:out_range=tv:out_color_matrix=bt709:flags=lanczos+accurate_rnd,format=yuv420p"
FROM_VIDEO = "scale=in_range=tv:in_color_matrix=bt709:out_range=full:flags=lanczos+accurate_rnd,format=rgb24"
COMPARED_EVERY = 5  # frames
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Encoded:
    """Speed, size and similarity of one encoding."""

    encoder: str
    frames_per_second: float
    kbit_per_second: int
    psnr: float
    ssim: float


def compare(pictures: Sequence[Picture], settings: Settings) -> list[dict[str, object]]:
    """x264 at the farm's quality, and NVENC at the first one whose PSNR is as good, or why it cannot encode."""
    ffmpeg = executable(settings.ffmpeg)
    x264 = _encoded(ffmpeg, pictures, X264)
    for quality in QUALITIES:
        try:
            nvenc = _encoded(ffmpeg, pictures, (*NVENC, str(quality)))
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines()
            return [asdict(x264), {"encoder": NVENC[0], "error": lines[0] if lines else "ffmpeg failed"}]
        if nvenc.psnr >= x264.psnr:
            break
    return [asdict(x264), asdict(nvenc)]


def _encoded(ffmpeg: Path, pictures: Sequence[Picture], encoder: Sequence[str]) -> Encoded:
    height, width, _ = pictures[0].shape
    raw = b"".join(picture.tobytes() for picture in pictures)
    size = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "30"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        began = time.monotonic()
        _run([ffmpeg, *size, "-i", "-", "-vf", TO_VIDEO, "-c:v", *encoder, "-profile:v", "high", "-g", "30", file], raw)
        seconds = time.monotonic() - began
        decoded = _run([ffmpeg, "-i", file, "-vf", FROM_VIDEO, "-f", "rawvideo", "-"])
        bytes_ = file.stat().st_size
    shown = np.frombuffer(decoded, np.uint8).reshape(-1, height, width, 3)
    pairs = [(pictures[at].astype(float), shown[at].astype(float)) for at in range(0, len(pictures), COMPARED_EVERY)]
    return Encoded(
        " ".join(encoder),
        frames_per_second=round(len(pictures) / seconds, 1),
        kbit_per_second=round(bytes_ * 8 / 1000 * 30 / len(pictures)),
        psnr=round(float(np.mean([psnr(*pair) for pair in pairs])), 2),
        ssim=round(float(np.mean([ssim(grey(one), grey(other)) for one, other in pairs])), 4),
    )


def _run(command: Sequence[str | Path], data: bytes = b"") -> bytes:
    """Raises CalledProcessError."""
    quiet = [*command[:1], "-hide_banner", "-loglevel", "error", "-y", *command[1:]]
    return subprocess.run(quiet, input=data, capture_output=True, check=True, timeout=TIMEOUT_SECONDS).stdout

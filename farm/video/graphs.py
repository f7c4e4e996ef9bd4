"""What ffmpeg is asked to do. Pure functions that build command lines; farm.video.run runs them."""

from pathlib import Path

import ffmpeg

from farm.plan import even

# One key frame a second and none elsewhere keeps every GOP closed, which a later join without re-encoding needs.
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
VIDEO_CRF, THUMB_CRF = 18, 24


def video_and_thumb(*, width: int, height: int, fps: int, video: Path, thumb: Path) -> list[str]:
    """Arguments for raw RGB frames on stdin (height x width x 3 bytes each) into the video and its small thumb.

    The thumb is a quarter of each side, kept even.
    """
    frames = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=fps)
    twice = frames.filter_multi_output("split", 2)
    outputs = [
        ffmpeg.output(_limited(twice[0], width, height), str(video), crf=VIDEO_CRF, g=fps, **H264),
        ffmpeg.output(_limited(twice[1], *thumb_size(width, height)), str(thumb), crf=THUMB_CRF, g=fps, **H264),
    ]
    arguments: list[str] = ffmpeg.merge_outputs(*outputs).global_args("-loglevel", "error", "-y").get_args()
    return arguments


def thumb_size(width: int, height: int) -> tuple[int, int]:
    """A quarter of each side, kept even."""
    return even(width / 4), even(height / 4)


def _limited(stream: ffmpeg.Stream, width: int, height: int) -> ffmpeg.Stream:
    """Full-range RGB to limited-range BT.709: swscale's own default would be BT.601 and shift every colour."""
    scaled = stream.filter(
        "scale", width, height, flags="lanczos+accurate_rnd", in_range="full", out_range="tv", out_color_matrix="bt709"
    )
    # Tags go on the frames: the encoder believes those, and not what the command line says of the stream.
    tags = {"range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    return scaled.filter("format", "yuv420p").filter("setparams", **tags)

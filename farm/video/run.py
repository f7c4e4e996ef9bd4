"""The one place that starts ffmpeg."""

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import imageio_ffmpeg
import numpy as np
import structlog
from numpy.typing import NDArray

from farm.errors import EncodingFailed

log = structlog.get_logger()

PIPE_SIZE = 1 << 20  # bytes, as many as Linux lets any process have: fewer turns for large frames
MOST_WORDS = 4096  # bytes of what ffmpeg complains of that are kept, from the end
PATIENCE = 600.0  # seconds that ffmpeg may take to write out what it holds after the last frame


def executable(chosen: Path | None) -> Path:
    """The ffmpeg to run: the chosen one, or the one that came with imageio-ffmpeg."""
    return chosen or Path(imageio_ffmpeg.get_ffmpeg_exe())


class Encoder:
    """A running ffmpeg that takes raw frames on its stdin. Leaving the block waits until its files are complete.

    Raises EncodingFailed, quoting ffmpeg's last line, when ffmpeg ends with an error or before its time.
    """

    def __init__(self, ffmpeg: Path, arguments: list[str]) -> None:
        # A file, not a pipe: nobody reads it meanwhile, and a full pipe would stop ffmpeg.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [str(ffmpeg), *arguments],
                bufsize=0,
                pipesize=PIPE_SIZE,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
            )
        except OSError as error:
            self._complaints.close()
            raise EncodingFailed(f"The video could not be encoded: {ffmpeg.name}: {error.strerror}") from error

    def write(self, frame: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """Hand over one frame, height x width x samples; blocks while ffmpeg is behind.

        When it returns, the frame's memory may be used again. Nothing is copied unless the frame is not contiguous.
        """
        assert self._process.stdin
        left = np.ascontiguousarray(frame).data.cast("B")
        try:
            while left:
                left = left[self._process.stdin.write(left) :]
        except BrokenPipeError:
            self._process.wait()
            raise EncodingFailed(self._reason()) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        try:
            if kind:
                self._process.kill()
            assert self._process.stdin
            with contextlib.suppress(BrokenPipeError):  # the exit code says it better
                self._process.stdin.close()
            try:
                code = self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise EncodingFailed(f"ffmpeg did not finish its files within {PATIENCE:.0f} s") from error
            if code and not kind:
                raise EncodingFailed(self._reason())
        finally:
            self._process.kill()
            self._process.wait()
            if said := self._said():
                log.warning("ffmpeg complained", said=said)
            self._complaints.close()

    def _said(self) -> str:
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(size - MOST_WORDS, 0))
        return self._complaints.read().decode(errors="replace").strip()

    def _reason(self) -> str:
        last = self._said().rpartition("\n")[2].strip() or "no reason given"
        if (code := self._process.returncode) < 0:  # a killed ffmpeg leaves no last line
            last = f"ffmpeg was ended by {signal.Signals(-code).name}"
        return f"The video could not be encoded: {last}"

"""Run ffmpeg: the only module that starts it."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import imageio_ffmpeg
import numpy as np
import structlog
from numpy.typing import NDArray

from farm.errors import EncodingFailed
from farm.processes import sandbox
from farm.processes.sandbox import Rules

log = structlog.get_logger()

PIPE_BYTES = 1 << 20  # the maximum that Linux allows unprivileged processes: fewer context switches for large frames
MAX_LOG_BYTES = 4096  # of ffmpeg's messages, from the end
MAX_MEMORY_BYTES, MAX_FILE_BYTES, MAX_CPU_HOURS = 8 * 1024**3, 64 * 1024**3, 100  # of one ffmpeg
# It reads files and its stdin only, whatever a file names, and never asks on a terminal.
INPUT_OPTIONS = ["-nostdin", "-protocol_whitelist", "file,pipe"]
FINISH_TIMEOUT_SECONDS = 600.0  # for encoding and writing the frames that are buffered after the last one


def executable(chosen: Path | None) -> Path:
    """The ffmpeg to run: the chosen one, or the one bundled with imageio-ffmpeg."""
    return chosen or Path(imageio_ffmpeg.get_ffmpeg_exe())


class Encoder:
    """A running ffmpeg that reads raw frames from stdin. Leaving the block waits until its files are complete.

    It runs in a sandbox, where it may write to `folder` and read the files `inputs`. Raises EncodingFailed, quoting
    ffmpeg's last line, when ffmpeg fails or ends early.
    """

    def __init__(self, ffmpeg: Path, arguments: list[str], folder: Path, inputs: Sequence[Path] = ()) -> None:
        if shutil.which(ffmpeg) is None:
            raise EncodingFailed(f"The video could not be encoded: {ffmpeg.name} is no program that can be run")
        rules = Rules(
            writable=[folder],
            readable=[ffmpeg.resolve().parent, *inputs],
            memory_bytes=MAX_MEMORY_BYTES,
            file_bytes=MAX_FILE_BYTES,
            cpu_seconds=MAX_CPU_HOURS * 3600,
        )
        # A file, not a pipe: an unread pipe that fills up would block ffmpeg.
        self._log_file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._process = subprocess.Popen(
            sandbox.strongest().command([ffmpeg, *INPUT_OPTIONS, *arguments], rules),
            env=sandbox.clean_environment(home=folder, temporary=folder),
            bufsize=0,
            pipesize=PIPE_BYTES,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log_file,
        )

    def write(self, frame: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """Write one frame, height x width x samples; blocks while ffmpeg is behind.

        The frame's memory may be reused afterwards. A frame that is not contiguous is copied.
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
            with contextlib.suppress(BrokenPipeError):  # the exit code tells more
                self._process.stdin.close()
            try:
                code = self._process.wait(FINISH_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise EncodingFailed(
                    f"ffmpeg did not finish its files within {FINISH_TIMEOUT_SECONDS:.0f} s"
                ) from error
            if code and not kind:
                raise EncodingFailed(self._reason())
        finally:
            self._process.kill()
            self._process.wait()
            if output := self._log_tail():
                log.warning("ffmpeg_warning", output=output)
            self._log_file.close()

    def _log_tail(self) -> str:
        size = self._log_file.seek(0, os.SEEK_END)
        self._log_file.seek(max(size - MAX_LOG_BYTES, 0))
        return self._log_file.read().decode(errors="replace").strip()

    def _reason(self) -> str:
        last = self._log_tail().rpartition("\n")[2].strip() or "no reason given"
        if (code := self._process.returncode) < 0:  # a killed ffmpeg leaves no last line
            last = f"ffmpeg was ended by {signal.Signals(-code).name}"
        return f"The video could not be encoded: {last}"

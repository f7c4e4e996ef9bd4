"""Drawn frames kept on disk, so that the same shot with another background, or a part of it again, is not drawn again.

A cache holds the frames of one shot. The least recently used caches make room when all together exceed the budget.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import NamedTemporaryFile

import structlog
import zstandard

from farm.errors import RenderFailed, is_disk_full
from farm.orders.plan import ShotSpec
from farm.rendering.drawing_code import drawing_code
from farm.scene.shot import Engine, Frame, Layer, ShadowMap
from farm.settings import Settings

log = structlog.get_logger()

LEVEL = 1  # zstd's fastest: reading a frame back must cost little beside drawing it


class FrameCache:
    """The kept frames of one shot, drawn with one engine by this very code. `budget` is bytes of all caches."""

    def __init__(self, cache_folder: Path, budget: int, spec: ShotSpec, engine: Engine) -> None:
        address = json.dumps([spec.digest, engine, drawing_code()])
        self._folder = cache_folder / hashlib.sha256(address.encode()).hexdigest()
        self._budget = budget
        with contextlib.suppress(OSError):
            os.utime(self._folder)

    @classmethod
    def of(cls, settings: Settings, spec: ShotSpec, engine: Engine) -> "FrameCache | None":
        """The cache of a shot on this node; None where no frames are kept."""
        kept = settings.frame_cache_bytes > 0
        return cls(settings.frames, settings.frame_cache_bytes, spec, engine) if kept else None

    def holds(self, number: int) -> bool:
        return self._path(number).is_file()

    def take(self, number: int, into: Path) -> Frame:
        """A kept frame, its layers as files in the folder `into`.

        Raises RenderFailed when it has gone meanwhile or is damaged; it is then drawn by the next attempt. Raises
        OSError when there is no room for it in `into`.
        """
        try:
            packed = zstandard.ZstdDecompressor().decompress(self._path(number).read_bytes())
            head, _, bodies = packed.partition(b"\n")
            frame = Frame.from_wire(json.loads(head))
            return self._unpack(frame, bodies, into)
        except (OSError, ValueError, zstandard.ZstdError) as error:
            if is_disk_full(error):  # then the kept frame is not at fault
                raise
            self._path(number).unlink(missing_ok=True)
            raise RenderFailed(f"Frame {number} was drawn before but cannot be read: {error}") from error

    def put(self, frame: Frame) -> None:
        """Keep a copy of a frame. That it cannot be kept is no error: it would only have saved time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if frame.shadow and not self._shadow(frame.shadow).exists():
                self._write(self._shadow(frame.shadow), Path(frame.shadow.path).read_bytes())
            head = json.dumps(asdict(frame)).encode()
            packed = b"".join([head, b"\n", *(Path(layer.path).read_bytes() for layer in layers(frame))])
            self._write(self._path(frame.number), zstandard.ZstdCompressor(LEVEL, write_checksum=True).compress(packed))
        except OSError as error:
            log.warning("a frame cannot be kept", cache=self._folder.name, frame=frame.number, error=str(error))

    def make_room(self) -> None:
        """Remove the least recently used caches until all are within the budget; this one goes last."""
        total = 0
        for folder, _, size in sorted(_used(self._folder.parent), key=lambda it: (it[0] != self._folder, -it[1])):
            total += size
            if total > self._budget:
                shutil.rmtree(folder, ignore_errors=True)

    def _unpack(self, frame: Frame, bodies: bytes, into: Path) -> Frame:
        start = 0
        unpacked = []
        for number, layer in enumerate(layers(frame)):
            path, size = into / f"kept-{frame.number:06d}-{number}", layer.width * layer.height * 4 * frame.bits // 8
            path.write_bytes(bodies[start : start + size])
            unpacked.append(replace(layer, path=str(path)))
            start += size
        if start != len(bodies):
            raise ValueError("it has not as many bytes as it says")
        subject, reflection = (*unpacked, None)[:2]
        assert subject
        return replace(frame, subject=subject, reflection=reflection, shadow=self._unpack_shadow(frame.shadow, into))

    def _unpack_shadow(self, shadow: ShadowMap | None, into: Path) -> ShadowMap | None:
        if shadow is None:
            return None
        path = into / f"kept-{Path(shadow.path).name}"
        if not path.exists():  # all frames of a static subject share one
            shutil.copyfile(self._shadow(shadow), path)
        return replace(shadow, path=str(path))

    def _path(self, number: int) -> Path:
        return self._folder / f"frame-{number:06d}.zst"

    def _shadow(self, shadow: ShadowMap) -> Path:
        return self._folder / Path(shadow.path).name

    def _write(self, path: Path, content: bytes) -> None:
        """Put a file into place, whole or not at all."""
        with NamedTemporaryFile(dir=self._folder, prefix=".put-", delete=False) as file:
            try:
                file.write(content)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def layers(frame: Frame) -> Iterator[Layer]:
    """The frame's layers that have a file of their own, in the order in which they are packed."""
    return (layer for layer in (frame.subject, frame.reflection) if layer)


def _used(cache_folder: Path) -> list[tuple[Path, float, int]]:
    """Every cache, when it was last used, and its bytes."""
    found = []
    for cache in cache_folder.iterdir() if cache_folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            sizes = [entry.stat().st_size for entry in os.scandir(cache)]
            found.append((cache, cache.stat().st_mtime, sum(sizes)))
    return found

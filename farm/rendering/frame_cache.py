"""Drawn frames cached on disk, so that the same shot with another background or after a retry is not drawn again.

A cache holds the frames of one shot. When all caches together exceed the budget, the least recently used are removed.
"""

import hashlib
import json
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
from farm.storage.disk_cache import evict, mark_used

log = structlog.get_logger()

COMPRESSION_LEVEL = 1  # zstd's fastest: loading a frame must be much faster than drawing it


class FrameCache:
    """The cached frames of one shot, drawn with one engine by this drawing code. `budget` is bytes of all caches."""

    def __init__(self, cache_folder: Path, budget: int, spec: ShotSpec, engine: Engine) -> None:
        address = json.dumps([spec.digest, engine, drawing_code()])
        self._folder = cache_folder / hashlib.sha256(address.encode()).hexdigest()
        self._budget = budget
        mark_used(self._folder)

    @classmethod
    def of(cls, settings: Settings, spec: ShotSpec, engine: Engine) -> "FrameCache | None":
        """The cache of a shot on this node; None where the frame cache is disabled."""
        enabled = settings.frame_cache_bytes > 0
        return cls(settings.frames, settings.frame_cache_bytes, spec, engine) if enabled else None

    def holds(self, number: int) -> bool:
        return self._path(number).is_file()

    def load(self, number: int, into: Path) -> Frame:
        """Load a cached frame, with its layers as files in the folder `into`.

        Raises RenderFailed when it was evicted meanwhile or is damaged; the next attempt then draws it. Raises OSError
        when there is no space for it in `into`.
        """
        try:
            packed = zstandard.ZstdDecompressor().decompress(self._path(number).read_bytes())
            head, _, bodies = packed.partition(b"\n")
            frame = Frame.from_wire(json.loads(head))
            return self._unpack(frame, bodies, into)
        except (OSError, ValueError, zstandard.ZstdError) as error:
            if is_disk_full(error):  # the cached frame is intact
                raise
            self._path(number).unlink(missing_ok=True)
            raise RenderFailed(f"Frame {number} cannot be read from the frame cache: {error}") from error

    def store(self, frame: Frame) -> None:
        """Store a copy of a frame. A failure is only logged, because the cache merely saves time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if frame.shadow and not self._shadow(frame.shadow).exists():
                self._write(self._shadow(frame.shadow), Path(frame.shadow.path).read_bytes())
            head = json.dumps(asdict(frame)).encode()
            packed = b"".join([head, b"\n", *(Path(layer.path).read_bytes() for layer in layers(frame))])
            self._write(
                self._path(frame.number),
                zstandard.ZstdCompressor(COMPRESSION_LEVEL, write_checksum=True).compress(packed),
            )
        except OSError as error:
            log.warning("frame_cache_write_failed", cache=self._folder.name, frame=frame.number, error=str(error))

    def evict(self) -> None:
        """Remove the least recently used caches until all are within the budget; this one is removed last."""
        mark_used(self._folder)
        evict(self._folder.parent, self._budget)

    def _unpack(self, frame: Frame, bodies: bytes, into: Path) -> Frame:
        start = 0
        unpacked = []
        for number, layer in enumerate(layers(frame)):
            path, size = into / f"cached-{frame.number:06d}-{number}", layer.width * layer.height * 4 * frame.bits // 8
            path.write_bytes(bodies[start : start + size])
            unpacked.append(replace(layer, path=str(path)))
            start += size
        if start != len(bodies):
            raise ValueError("its size does not match its header")
        subject, reflection = (*unpacked, None)[:2]
        assert subject
        return replace(frame, subject=subject, reflection=reflection, shadow=self._unpack_shadow(frame.shadow, into))

    def _unpack_shadow(self, shadow: ShadowMap | None, into: Path) -> ShadowMap | None:
        if shadow is None:
            return None
        path = into / f"cached-{Path(shadow.path).name}"
        if not path.exists():  # all frames of a static subject share one shadow
            shutil.copyfile(self._shadow(shadow), path)
        return replace(shadow, path=str(path))

    def _path(self, number: int) -> Path:
        return self._folder / f"frame-{number:06d}.zst"

    def _shadow(self, shadow: ShadowMap) -> Path:
        return self._folder / Path(shadow.path).name

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file atomically."""
        with NamedTemporaryFile(dir=self._folder, prefix=".put-", delete=False) as file:
            try:
                file.write(content)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def layers(frame: Frame) -> Iterator[Layer]:
    """The frame's layers that have a file of their own, in the order of the packed file."""
    return (layer for layer in (frame.subject, frame.reflection) if layer)

"""Reading Blender's multilayer OpenEXR files, and refusing other kinds."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farm.errors import is_disk_full
from farm.scene import exr


def attribute(name: str, kind: str, content: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(content)) + content


def written(path: Path, channels: dict[str, NDArray[np.float32]], *, compression: int = 0, kind: int = 2) -> Path:
    """An OpenEXR file with these channels, in alphabetical order; its data window starts at (3, 5)."""
    height, width = next(iter(channels.values())).shape
    listed = b"".join(name.encode() + b"\0" + struct.pack("<iB3x2i", kind, 0, 1, 1) for name in channels) + b"\0"
    head = b"".join(
        [
            exr.MAGIC + struct.pack("<i", 2),
            attribute("channels", "chlist", listed),
            attribute("compression", "compression", bytes([compression])),
            attribute("dataWindow", "box2i", struct.pack("<4i", 3, 5, 3 + width - 1, 5 + height - 1)),
            b"\0",
        ]
    )
    rows = b"".join(
        struct.pack("<2i", 5 + row, len(channels) * width * 4)
        + b"".join(channel[row].astype("<f4").tobytes() for channel in channels.values())
        for row in range(height)
    )
    path.write_bytes(head + bytes(8 * height) + rows)
    return path


PIXELS = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_reads_channels_exactly_without_the_layers_name(tmp_path: Path) -> None:
    channels = {"View.Depth.Z": PIXELS * np.float32(0.1), "View.Normal.X": -PIXELS}
    read = exr.read(written(tmp_path / "a.exr", channels))
    assert list(read) == ["Depth.Z", "Normal.X"]
    assert (read["Depth.Z"] == PIXELS * np.float32(0.1)).all()
    assert (read["Normal.X"] == -PIXELS).all()


@pytest.mark.parametrize(("change", "words"), [({"compression": 3}, "compressed"), ({"kind": 1}, "32-bit floats")])
def test_refuses_other_kinds_of_exr(tmp_path: Path, change: dict[str, int], words: str) -> None:
    path = written(tmp_path / "a.exr", {"View.Depth.Z": PIXELS}, **change)
    with pytest.raises(ValueError, match=words):
        exr.read(path)


def test_refuses_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="not an OpenEXR file"):
        exr.read(tmp_path / "a.exr")


@pytest.mark.parametrize("size", range(0, 221, 17))
def test_reports_a_truncated_picture_as_a_full_disk(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "a.exr", {"View.Depth.Z": PIXELS})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(OSError, match="no room") as failure:
        exr.read(path)
    assert is_disk_full(failure.value)

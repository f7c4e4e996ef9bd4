"""Which of a machine's GPUs OpenGL draws on."""

import os
import re
from pathlib import Path

from farm.errors import NodeRefused


def choose(number: int, root: Path = Path("/")) -> dict[str, str]:
    """What the environment must hold so that Blender draws on GPU `number`, 0 the first. `root` is for tests.

    Mesa's drivers (AMD, Intel) take a PCI address. NVIDIA's EGL takes no hint at all: it draws on the first card that
    it can open, so this one must be the only one. Raises NodeRefused where it is not, or is not there.
    """
    if cards := _nvidia(root):
        if number not in cards:
            raise NodeRefused(f"There is no NVIDIA GPU {number} that this user may open, only {_listed(cards)}")
        if len(cards) > 1:
            raise NodeRefused(
                f"NVIDIA's OpenGL cannot be told which of the GPUs {_listed(cards)} to draw on: show this worker GPU"
                f" {number} alone, with a container's device id or a systemd unit's DeviceAllow (docs/install.md)"
            )
        return {}
    nodes = sorted((root / "dev/dri").glob("renderD*"))
    if number >= len(nodes):
        raise NodeRefused(f"There is no GPU {number}: this machine shows {len(nodes) or 'none'}")
    device = (root / "sys/class/drm" / nodes[number].name / "device").resolve()
    return {"DRI_PRIME": "pci-" + re.sub("[:.]", "_", device.name)}


def _nvidia(root: Path) -> list[int]:
    """The NVIDIA cards that this user may open; a container or a systemd unit may forbid the others."""
    cards = []
    for path in (root / "dev").glob("nvidia[0-9]*"):
        try:
            os.close(os.open(path, os.O_RDWR))
        except OSError:
            continue
        cards.append(int(path.name.removeprefix("nvidia")))
    return sorted(cards)


def _listed(cards: list[int]) -> str:
    return ", ".join(map(str, cards))

"""Selects the GPU that OpenGL draws on, where a machine has several."""

import os
import re
from pathlib import Path

from farm.errors import NodeRefused


def choose(number: int, root: Path = Path("/")) -> dict[str, str]:
    """Environment variables with which Blender draws on GPU `number`, counted from 0. `root` is for tests.

    Mesa's drivers (AMD, Intel) accept a PCI address. NVIDIA's EGL offers no choice: it draws on the first card that it
    can open, so the chosen card must be the only one. Raises NodeRefused if it is not, or does not exist.
    """
    if cards := _nvidia(root):
        if number not in cards:
            raise NodeRefused(f"There is no NVIDIA GPU {number} that this user may open, only {_listed(cards)}")
        if len(cards) > 1:
            raise NodeRefused(
                f"NVIDIA's OpenGL cannot choose among the GPUs {_listed(cards)}: give this worker access to GPU"
                f" {number} alone, with a container's device id or a systemd unit's DeviceAllow (docs/install.md)"
            )
        return {}
    nodes = sorted((root / "dev/dri").glob("renderD*"))
    if number >= len(nodes):
        raise NodeRefused(f"There is no GPU {number}: this machine has {len(nodes) or 'none'}")
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

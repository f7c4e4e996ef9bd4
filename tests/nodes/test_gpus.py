"""Choosing one of several GPUs: with Mesa by its PCI address; NVIDIA's EGL offers no choice."""

from pathlib import Path

import pytest

from farm.errors import NodeRefused
from farm.nodes import gpus


def machine(root: Path, *, nvidia: int = 0, mesa: tuple[str, ...] = ()) -> Path:
    """The /dev and /sys of a machine with this many NVIDIA cards, and Mesa's cards at these PCI addresses."""
    (root / "dev/dri").mkdir(parents=True)
    for number in range(nvidia):
        (root / f"dev/nvidia{number}").touch()
    (root / "dev/nvidiactl").touch()
    for number, address in enumerate(mesa, start=128):
        (root / f"dev/dri/renderD{number}").touch()
        device = root / "sys/devices" / address
        device.mkdir(parents=True)
        (root / f"sys/class/drm/renderD{number}").mkdir(parents=True)
        (root / f"sys/class/drm/renderD{number}/device").symlink_to(device)
    return root


class TestMesa:
    def test_passes_the_pci_address_to_the_driver(self, tmp_path: Path) -> None:
        root = machine(tmp_path, mesa=("0000:03:00.0", "0000:0a:00.1"))
        assert gpus.choose(0, root) == {"DRI_PRIME": "pci-0000_03_00_0"}
        assert gpus.choose(1, root) == {"DRI_PRIME": "pci-0000_0a_00_1"}

    def test_refuses_a_number_beyond_the_last_card(self, tmp_path: Path) -> None:
        with pytest.raises(NodeRefused, match="no GPU 1"):
            gpus.choose(1, machine(tmp_path, mesa=("0000:03:00.0",)))


class TestNvidia:
    def test_accepts_the_only_card_without_a_variable(self, tmp_path: Path) -> None:
        assert gpus.choose(0, machine(tmp_path, nvidia=1)) == {}

    def test_refuses_to_choose_among_several_cards(self, tmp_path: Path) -> None:
        with pytest.raises(NodeRefused, match=r"0, 1.*device id.*DeviceAllow"):
            gpus.choose(1, machine(tmp_path, nvidia=2))

    def test_refuses_a_card_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(NodeRefused, match="no NVIDIA GPU 3"):
            gpus.choose(3, machine(tmp_path, nvidia=2))


class TestNoGpu:
    def test_refuses_every_number(self, tmp_path: Path) -> None:
        with pytest.raises(NodeRefused, match="has none"):
            gpus.choose(0, machine(tmp_path))

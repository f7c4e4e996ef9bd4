"""Choosing one of several GPUs: by Mesa's hint, and honestly not at all with NVIDIA's EGL."""

from pathlib import Path

import pytest

from farm.errors import NodeRefused
from farm.nodes import gpus


def machine(root: Path, *, nvidia: int = 0, mesa: tuple[str, ...] = ()) -> Path:
    """A folder that looks like a machine with so many cards, and Mesa's at these PCI addresses."""
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
    def test_is_told_the_pci_address(self, tmp_path: Path) -> None:
        root = machine(tmp_path, mesa=("0000:03:00.0", "0000:0a:00.1"))
        assert gpus.choose(0, root) == {"DRI_PRIME": "pci-0000_03_00_0"}
        assert gpus.choose(1, root) == {"DRI_PRIME": "pci-0000_0a_00_1"}

    def test_has_no_more_than_there_are(self, tmp_path: Path) -> None:
        with pytest.raises(NodeRefused, match="no GPU 1"):
            gpus.choose(1, machine(tmp_path, mesa=("0000:03:00.0",)))


class TestNvidia:
    def test_needs_no_hint_where_the_card_is_the_only_one(self, tmp_path: Path) -> None:
        assert gpus.choose(0, machine(tmp_path, nvidia=1)) == {}

    def test_is_refused_where_several_are_to_be_seen(self, tmp_path: Path) -> None:
        with pytest.raises(NodeRefused, match=r"0, 1.*device id.*DeviceAllow"):
            gpus.choose(1, machine(tmp_path, nvidia=2))

    def test_is_refused_where_the_card_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(NodeRefused, match="no NVIDIA GPU 3"):
            gpus.choose(3, machine(tmp_path, nvidia=2))


def test_without_any_gpu_there_is_none_to_choose(tmp_path: Path) -> None:
    with pytest.raises(NodeRefused, match="none"):
        gpus.choose(0, machine(tmp_path))

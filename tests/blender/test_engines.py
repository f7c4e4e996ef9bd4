"""Cycles draws on one GPU of the machine: the one that the worker chose, and on no CPU beside it."""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.blender import InsideBlender

pytestmark = pytest.mark.slow

IDS = ["HIP_Radeon_0000:03:00", "HIP_Radeon_0000:83:00", "CPU"]  # as Cycles names two cards and the processor


def used_devices(dri_prime: str | None, ids: list[str]) -> list[str]:
    """The devices that Cycles uses by HIP on a machine with these, or the error."""
    from farm.blender import engines

    devices = [SimpleNamespace(id=id_, type=id_.partition("_")[0], name=id_, use=True) for id_ in ids]
    preferences: Any = SimpleNamespace(devices=devices, get_devices_for_type=lambda _: devices)
    found: Callable[[], Any] = engines._preferences
    engines._preferences = lambda: preferences
    os.environ.pop("DRI_PRIME", None)
    if dri_prime:
        os.environ["DRI_PRIME"] = dri_prime
    try:
        engines.use_engine("cycles-hip", 4)
    except RuntimeError as error:
        return [str(error)]
    finally:
        engines._preferences = found
        os.environ.pop("DRI_PRIME", None)
    assert preferences.compute_device_type == "HIP"
    return [device.id for device in devices if device.use]


@pytest.mark.parametrize(
    ("dri_prime", "ids", "used"),
    [
        (None, IDS, IDS[0]),
        ("pci-0000_83_00_0", IDS, IDS[1]),
        ("pci-0000_03_00_0", IDS, IDS[0]),
        ("1", IDS, IDS[0]),
        ("pci-0000_99_00_0", IDS, "Cycles finds no GPU for HIP"),
        (None, ["CPU", "CUDA_Tesla_0000:03:00"], "Cycles finds no GPU for HIP"),
        (None, ["CPU"], "Cycles finds no GPU for HIP"),
    ],
)
def test_draws_on_one_gpu(inside: InsideBlender, dri_prime: str | None, ids: list[str], used: str) -> None:
    assert inside(used_devices, dri_prime, ids) == [used]


def engine_and_device_of_cycles() -> tuple[str, str]:
    import bpy

    from farm.blender import engines

    engines.use_engine("cycles", 4)
    return bpy.context.scene.render.engine, bpy.context.scene.cycles.device


def test_draws_on_the_cpu_after_a_gpu(inside: InsideBlender) -> None:
    """The shadow of every shot is baked on the CPU."""
    assert inside(used_devices, None, IDS) == [IDS[0]]
    assert inside(engine_and_device_of_cycles) == ("CYCLES", "CPU")

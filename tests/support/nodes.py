"""Nodes with a GPU and without."""

from dataclasses import replace

import pytest

from farm.db.session import Database
from farm.db.tables import now
from farm.nodes import names
from farm.nodes.facts import Facts
from farm.rendering.engine import Devices, Gpu

CARD = Devices(Gpu("a card", "its maker", software=False))
CPU = Facts(
    name="cpu",
    host="one",
    machine=names.machine(),
    tags=[],
    engine="cycles",
    gpu=None,
    has_gpu=False,
    memory=2**34,
    plinth_version="0.1.0",
    bpy_version="4.5.15",
    database_version=Database("sqlite://").newest_version() or "",
    drawing_code="4.5.15 abc",
    sandbox="isolation",
    always_draws=False,
    started_at=now(),
)


@pytest.fixture
def cpu() -> Facts:
    return CPU


@pytest.fixture
def gpu() -> Facts:
    return replace(CPU, name="gpu", engine="eevee", gpu="A card", has_gpu=True)

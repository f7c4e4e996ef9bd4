"""Facts that a worker reports about itself when it joins the farm."""

import socket
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from farm.db.session import Database
from farm.db.tables import now
from farm.nodes import names
from farm.processes import memory, sandbox
from farm.rendering.drawing_code import drawing_code
from farm.scene.shot import Engine
from farm.settings import Settings

if TYPE_CHECKING:
    from farm.rendering.engine import (  # needs Blender's and ffmpeg's packages, which the API does without
        Choice,
        Devices,
    )


@dataclass(frozen=True)
class Facts:
    """The columns of farm.db.tables.Node that a worker fills in when it joins; `memory` is in bytes.

    `measured_engines` are farm.rendering.verdict.Candidates, None where nothing was measured.
    """

    name: str
    host: str
    machine: str
    tags: list[str]
    engine: Engine
    gpu: str | None
    has_gpu: bool
    memory: int
    plinth_version: str
    bpy_version: str
    database_version: str
    drawing_code: str
    sandbox: str
    always_draws: bool
    started_at: datetime
    measured_engines: list[dict[str, Any]] | None = None


def gather(
    name: str, tags: list[str], choice: "Choice", devices: "Devices", database: Database, settings: Settings
) -> Facts:
    """The facts of this process. `has_gpu` is False for software OpenGL, and if the engine does not use the GPU."""
    return Facts(
        name=name,
        host=socket.gethostname(),
        machine=names.machine(),
        tags=tags,
        engine=choice.engine,
        gpu=devices.name,
        has_gpu=choice.engine in devices.engines,
        memory=memory.of_machine(),
        plinth_version=version("plinth"),
        bpy_version=version("bpy"),
        database_version=database.newest_version() or "",
        drawing_code=drawing_code(),
        sandbox=sandbox.of_blender(settings).tier,
        always_draws=settings.draw == "always",
        started_at=now(),
        measured_engines=choice.verdict.candidates_json() if choice.verdict else None,
    )

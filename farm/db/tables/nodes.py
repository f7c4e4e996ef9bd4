"""The nodes of the farm."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from farm.db.tables.base import Table


class Node(Table):
    """A worker with its Blender. Only farm.nodes writes this table, and the erasure of an account its `failures`.

    The chunks that it works on name it as `worker`.
    `machine` is the scope within which its name is unique (farm.nodes.names), `gpu` the name of the device that Blender
    could draw on, by OpenGL or Cycles. `measured_engines` are farm.rendering.verdict.Candidates. `drawing_code`
    identifies the version of the drawing code, the same on all nodes of a farm.
    `sandbox` is the tier of its Blender's sandbox (farm.processes.sandbox).
    `failures` lists the models that failed here recently as (SHA-256, account id, time, message); they count until the
    next success, `succeeded_at`, as do the `quick_failures`, attempts that failed soon. From `check_due_at` on the node
    has to draw a model that is known to be good, and gets no work before. `clock_offset` is how many seconds its clock
    is ahead of the database's.
    """

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(String(100), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    machine: Mapped[str] = mapped_column(String(64))
    tags: Mapped[list[str]]
    engine: Mapped[str] = mapped_column(String(16))
    measured_engines: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    gpu: Mapped[str | None] = mapped_column(String(255))
    has_gpu: Mapped[bool]
    memory: Mapped[int] = mapped_column(BigInteger)
    plinth_version: Mapped[str] = mapped_column(String(32))
    bpy_version: Mapped[str] = mapped_column(String(32))
    database_version: Mapped[str] = mapped_column(String(16))
    drawing_code: Mapped[str] = mapped_column(String(100))
    sandbox: Mapped[str] = mapped_column(String(16))

    always_draws: Mapped[bool]
    draws: Mapped[bool]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    drain_at: Mapped[datetime | None]
    quarantined_at: Mapped[datetime | None]
    quarantine_reason: Mapped[str | None] = mapped_column(Text)
    check_due_at: Mapped[datetime | None]
    clock_offset: Mapped[float] = mapped_column(Float, default=0.0)
    failures: Mapped[list[list[str]] | None] = mapped_column(JSON(none_as_null=True))
    quick_failures: Mapped[int] = mapped_column(default=0)
    succeeded_at: Mapped[datetime | None]

    last_chunk_id: Mapped[str | None] = mapped_column(String(12))
    last_frame: Mapped[int | None]
    last_frame_at: Mapped[datetime | None]

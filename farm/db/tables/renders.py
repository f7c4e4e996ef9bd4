"""Renders, the shots and chunks that they are drawn from, and the files that come of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, String, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from farm.db.tables.accounts import Account
from farm.db.tables.base import Table
from farm.db.tables.uploads import Model


class Shot(Table):
    """The pixels of renders: `spec` is farm.orders.plan.ShotSpec as JSON; `digest` addresses equal pixels.

    `engine` is that of the first node that draws it; from then on no other engine draws its frames.
    """

    __tablename__ = "shots"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    spec: Mapped[dict[str, Any]]
    frames: Mapped[int]
    engine: Mapped[str | None] = mapped_column(String(16))

    model: Mapped[Model] = relationship()
    chunks: Mapped[list["Chunk"]] = relationship(back_populates="shot", order_by="Chunk.first_frame")
    renders: Mapped[list["Render"]] = relationship(back_populates="shot", order_by="Render.created_at, Render.id")


class Render(Table):
    """One client request. Only farm.scheduling.render_status writes `status`. `client_metadata` is the client's own.

    `retries` is the number of times that an operator queued it again after an error.
    """

    __tablename__ = "renders"
    # One for each listing: all, by status, by model, of all. Each has the columns that counting and paging read.
    __table_args__ = (
        Index(None, "account_id", "created_at", "id"),
        Index(None, "account_id", "status", "created_at", "id"),
        Index(None, "model_id", "account_id", "created_at", "id"),
        Index(None, "created_at", "id"),
    )

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    shot_id: Mapped[str] = mapped_column(ForeignKey("shots.id", ondelete="CASCADE"), index=True)
    is_system_preview: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(String(20), default="pending")
    settings: Mapped[dict[str, Any]]
    client_metadata: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error_message: Mapped[str | None] = mapped_column(Text)
    retries: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(default=func.clock_timestamp())

    account: Mapped[Account] = relationship()
    model: Mapped[Model] = relationship()
    shot: Mapped[Shot] = relationship(back_populates="renders")
    assets: Mapped[list["Asset"]] = relationship(back_populates="render", passive_deletes=True)


class Chunk(Table):
    """The unit of work: to `draw` a range of a shot's frames, or to `finish` one of its renders.

    Only farm.scheduling.leases writes state, attempt, failures and lease. Waiting chunks are claimed by `priority`,
    0 first, then by `turn`, which alternates between accounts. `tier` is that of the shot; `seconds` is the time that
    drawing took, set only if every frame was drawn and none came from the cache; `seconds_lost` is the time that nodes
    spent on attempts that failed. A chunk that has failed has `due_at`, before which it is not
    claimed, while it waits.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        # The order of claims: a claim reads one entry of this index, and sorts no waiting chunks.
        Index(None, "state", "priority", "turn", "created_at"),
        Index(None, "account_id", "state", "priority", "turn"),
        Index(None, "due_at", sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL")),
        Index(None, "tier", "created_at", sqlite_where=text("seconds > 0"), postgresql_where=text("seconds > 0")),
    )

    shot_id: Mapped[str] = mapped_column(ForeignKey("shots.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    render_id: Mapped[str | None] = mapped_column(ForeignKey("renders.id", ondelete="CASCADE"), unique=True)
    kind: Mapped[str] = mapped_column(String(8), default="draw")
    tier: Mapped[str] = mapped_column(String(16))
    first_frame: Mapped[int] = mapped_column(default=0)
    frames: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int]
    turn: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(8), default="queued")
    attempt: Mapped[int] = mapped_column(default=1)
    failures: Mapped[int] = mapped_column(default=0)
    frames_done: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float | None] = mapped_column(Float)
    seconds_lost: Mapped[float] = mapped_column(Float, default=0.0)
    claimed_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(255))

    shot: Mapped[Shot] = relationship(back_populates="chunks")

    @property
    def renders(self) -> list[Render]:
        """The renders that the chunk is for, oldest first."""
        return [render for render in self.shot.renders if self.render_id in (None, render.id)]


class Segment(Table):
    """A part of one of a render's files, stored when its chunk was drawn; deleted once the render is finished."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("render_id", "kind", "chunk_id"),)

    render_id: Mapped[str] = mapped_column(ForeignKey("renders.id", ondelete="CASCADE"))
    chunk_id: Mapped[str] = mapped_column(ForeignKey("chunks.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    storage_key: Mapped[str] = mapped_column(String(255))

    chunk: Mapped[Chunk] = relationship()


class AttemptLog(Table):
    """One attempt at a chunk: how it ended, and its log, with our own lines, ffmpeg's and Blender's.

    `outcome` is finished, failed, expired, released, postponed or cancelled, `noticed_by` one of worker, reaper and
    operator. Both are null while a log is stored whose attempt has not ended. The log of a lost worker is empty.
    """

    __tablename__ = "attempt_logs"
    __table_args__ = (
        UniqueConstraint("chunk_id", "attempt"),
        # What nodes did since a time, without reading the logs.
        Index("ix_attempt_logs_ended_at", "ended_at", "outcome", "worker", "chunk_id"),
    )

    chunk_id: Mapped[str] = mapped_column(ForeignKey("chunks.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    worker: Mapped[str] = mapped_column(String(255))
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    noticed_by: Mapped[str | None] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text, default="")


class Asset(Table):
    """A finished file of a render, by kind: video, web, thumb, thumb-still, poster, poster-full, dataset."""

    __tablename__ = "assets"
    __table_args__ = (UniqueConstraint("render_id", "kind"), Index(None, "created_at", "size"))

    render_id: Mapped[str] = mapped_column(ForeignKey("renders.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    storage_key: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)

    render: Mapped[Render] = relationship(back_populates="assets")

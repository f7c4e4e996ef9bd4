"""The tables. docs/glossary.md defines the terms."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from farm.ids import new_id


def now() -> datetime:
    """The time by this machine's clock. What is stored or judged goes by farm.db.clock."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp in UTC, timezone-aware in Python. SQLite drops the time zone, so it is added again on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012

    id: Mapped[str] = mapped_column(String(12), primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(default=func.clock_timestamp())  # of the database (farm.db.clock)


class Account(Table):
    """A client of the farm. With `node_tag` only nodes with this tag draw and finish its renders.

    `password_digest` is argon2's, with its salt and cost; only its use loads it. Without one it cannot log in.
    """

    __tablename__ = "accounts"

    email: Mapped[str] = mapped_column(String(320), unique=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    suspended_at: Mapped[datetime | None]
    credits: Mapped[int] = mapped_column(BigInteger, default=0)
    node_tag: Mapped[str | None] = mapped_column(String(100))
    password_digest: Mapped[str | None] = mapped_column(String(255), deferred=True)


class BrowserSession(Table):
    """A browser that is logged in to the portal; only the digest of its cookie is stored. Ending it deletes the row.

    `agent` is what the browser calls itself.
    """

    __tablename__ = "browser_sessions"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    agent: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(index=True)

    account: Mapped[Account] = relationship()


class Invitation(Table):
    """The right to sign up once, with some credits; only the digest of its code is stored. Its use deletes the row."""

    __tablename__ = "invitations"

    digest: Mapped[str] = mapped_column(String(64), unique=True)
    credits: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LedgerEntry(Table):
    """Credits granted to an account (+) or taken back (-), charged for a render (-) or refunded for it (+).

    Only farm.accounts.credits adds entries; none is changed. An entry outlives its render, so `render_id` is not a
    foreign key, and its account, which it then no longer names. Each time that a render is queued, counted by
    `retries`, it is charged at most once, and refunded at most once.
    """

    __tablename__ = "ledger"
    __table_args__ = (UniqueConstraint("render_id", "retries", "kind"),)

    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"), index=True)
    render_id: Mapped[str | None] = mapped_column(String(12))
    retries: Mapped[int] = mapped_column(default=0)
    kind: Mapped[str] = mapped_column(String(8))
    credits: Mapped[int] = mapped_column(BigInteger)


class Key(Table):
    """An API key; only the digest of the raw key is stored. With `scopes` None it has every scope.

    `name` says what the key is for.
    """

    __tablename__ = "keys"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str | None] = mapped_column(String(100))
    revoked_at: Mapped[datetime | None]
    scopes: Mapped[list[str] | None]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship()


class Answer(Table):
    """The answer to a POST with an Idempotency-Key, for a repetition; without `status` the POST is still in flight.

    `fingerprint` is a hash of the request's content. `lease_until` is renewed while the request is being processed.
    """

    __tablename__ = "answers"
    __table_args__ = (UniqueConstraint("account_id", "route", "key"), Index(None, "created_at"))

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    route: Mapped[str] = mapped_column(String(100))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    lease_until: Mapped[datetime]
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)


class Model(Table):
    """An uploaded file. An account has at most one undeleted model per content (sha256).

    `format` and `file_size` describe the stored file; `sha256` is that of the uploaded one, for a scan the zip.
    `external_id` is the client's own id of it. `clips` names its animations in order; only its use loads it. The row of
    a deleted model stays, as its renders refer to it; its file stays as long as `has_file`. `failed_at` is the time at
    which its preview failed because of the file itself.
    """

    __tablename__ = "models"
    __table_args__ = (
        Index(
            None,
            *("account_id", "sha256"),
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(None, "account_id", "created_at"),
        Index(None, "account_id", "external_id"),
        Index(None, "deleted_at"),
    )

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    original_name: Mapped[str] = mapped_column(String(255))
    format: Mapped[str] = mapped_column(String(8))
    title: Mapped[str | None] = mapped_column(String(255))
    sku: Mapped[str | None] = mapped_column(String(255))
    external_id: Mapped[str | None] = mapped_column(String(256))
    clips: Mapped[list[str]] = mapped_column(default=list, deferred=True)
    file_size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    archived_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    has_file: Mapped[bool] = mapped_column(default=True)
    failed_at: Mapped[datetime | None] = mapped_column(index=True)

    tags: Mapped[list["Tag"]] = relationship(order_by="Tag.position", cascade="all, delete-orphan")

    @hybrid_property
    def storage_key(self) -> str:
        return "models/" + self.id + "." + self.format  # in Python and in SQL


class Tag(Table):
    """A word by which models are filtered; `position` is its index among the model's tags."""

    __tablename__ = "tags"
    __table_args__ = (Index(None, "tag", "model_id"),)

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    tag: Mapped[str] = mapped_column(String(255))
    position: Mapped[int]


class Overlay(Table):
    """A picture behind or in front of renders, for its owner; once published, for all accounts.

    A deleted one stays, with its file, until no unfinished render uses it.
    """

    __tablename__ = "overlays"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    layer: Mapped[str] = mapped_column(String(16))
    name: Mapped[str | None] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(String(500))
    alignment: Mapped[str] = mapped_column(String(16))
    published: Mapped[bool] = mapped_column(default=False, index=True)
    storage_key: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]
    file_size: Mapped[int] = mapped_column(BigInteger)
    deleted_at: Mapped[datetime | None] = mapped_column(index=True)


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


class SuspectModel(Table):
    """A file, by its content, that has crashed or hung `hosts` Blender hosts in a row, the last time for `reason`.

    With `is_refused` it was the file's fault: no model with this content is rendered again, or none of `account_id`
    while it has only hung, and only this account's renders, whose settings may be the reason.
    """

    __tablename__ = "suspect_models"

    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    hosts: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime] = mapped_column(index=True)
    is_refused: Mapped[bool] = mapped_column(default=False)
    account_id: Mapped[str | None] = mapped_column(String(12))


class CounterIncrement(Table):
    """An increment of a counter for the operator; a counter's value is the sum of its increments.

    Counting adds a row instead of updating one, so that no transaction waits for another. The reaper merges rows.
    """

    __tablename__ = "counter_increments"

    name: Mapped[str] = mapped_column(String(64))
    labels: Mapped[dict[str, str]] = mapped_column(JSON().with_variant(JSONB(), "postgresql"))
    amount: Mapped[float] = mapped_column(Float)


class Cleanup(Table):
    """From `due_at` on, stored files whose keys begin with `prefix` and that no row names are to be removed."""

    __tablename__ = "cleanups"

    prefix: Mapped[str] = mapped_column(String(255))
    due_at: Mapped[datetime] = mapped_column(index=True)


class AuditEntry(Table):
    """An action of an operator: `actor` is a user of the operating system with its host, or an admin account's id.

    `target` is what it was done to, `account_id` whose it is. An entry outlives both, so neither is a foreign key.
    """

    __tablename__ = "audit"
    __table_args__ = (Index(None, "created_at"),)

    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(255))
    account_id: Mapped[str | None] = mapped_column(String(12))
    details: Mapped[dict[str, Any]]


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

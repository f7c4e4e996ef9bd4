"""Models and overlays: what accounts upload."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from farm.db.tables.base import Table


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

"""What the operation of the farm needs: counters, due cleanups and the audit."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from farm.db.tables.base import Table


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

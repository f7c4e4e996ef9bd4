"""Accounts, how they sign in, what they pay, and the answers that they got."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from farm.db.tables.base import Table


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

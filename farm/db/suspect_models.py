"""Every query about files that crashed or hung Blender, by content (SHA-256)."""

import contextlib
from collections.abc import Collection

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from farm.db import clock
from farm.db.tables import SuspectModel

MAX_HOSTS = 2  # Blender hosts that a file may crash or hang
MAX_ROWS = 10_000  # the files that were at fault last


def record(db: Session, sha256: str, reason: str, *, hung_for: str | None = None) -> int:
    """Count a Blender host that a file has crashed, or that a render of the account `hung_for` has hung.

    Returns how many the file has had, without a success between them.
    """
    at = clock.now(db)
    with contextlib.suppress(IntegrityError), db.begin_nested():  # another node may have recorded it just now
        db.add(SuspectModel(sha256=sha256, hosts=0, reason=reason, failed_at=at, account_id=hung_for))
    row = db.scalars(select(SuspectModel).where(SuspectModel.sha256 == sha256).with_for_update()).one()
    row.hosts, row.reason, row.failed_at = row.hosts + 1, reason, at
    if row.account_id != hung_for:  # a crash, or a second account: not only one account's settings
        row.account_id = None
    db.flush()
    older = select(SuspectModel.id).order_by(SuspectModel.failed_at.desc()).offset(MAX_ROWS)
    db.execute(delete(SuspectModel).where(SuspectModel.id.in_(older)))
    return row.hosts


def confirm(db: Session, sha256s: Collection[str]) -> None:
    """Refuse those of these files that have had MAX_HOSTS hosts, from now on and for good."""
    harmful = (SuspectModel.sha256.in_(sha256s), SuspectModel.hosts >= MAX_HOSTS)
    db.execute(update(SuspectModel).where(*harmful).values(is_refused=True))


def clear(db: Session, sha256s: Collection[str]) -> None:
    """Forget what happened with these files, unless they are refused for good."""
    db.execute(delete(SuspectModel).where(SuspectModel.sha256.in_(sha256s), ~SuspectModel.is_refused))


def refused(db: Session, sha256s: Collection[str], account_id: str) -> SuspectModel | None:
    """One of these files that is refused for good, to all accounts or to this one."""
    for_it = or_(SuspectModel.account_id.is_(None), SuspectModel.account_id == account_id)
    wanted = (SuspectModel.sha256.in_(sha256s), SuspectModel.is_refused, for_it)
    return db.scalar(select(SuspectModel).where(*wanted).limit(1))


def all_refused(db: Session, beginning: str = "") -> list[SuspectModel]:
    """The files that are refused for good and whose SHA-256 begins so, the newest first."""
    wanted = (SuspectModel.is_refused, SuspectModel.sha256.startswith(beginning, autoescape=True))
    return list(db.scalars(select(SuspectModel).where(*wanted).order_by(SuspectModel.failed_at.desc())))

"""What operators do to renders of all accounts, on the command line and over the API; each change is audited."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from farm.db import audit, chunks, renders, statistics
from farm.db.tables import Render
from farm.errors import Conflict, RenderNotFound
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import QUEUE_NAMES, Doorbell
from farm.settings import Settings

CANCELLED = "Cancelled by the farm's operator"


class QueueCounts(NamedTuple):
    """Unfinished chunks of one queue: how many wait and run, and when the oldest waiting one was created."""

    queue: str
    waiting: int
    running: int
    oldest: datetime | None


def find(db: Session, render_id: str) -> Render:
    """Any account's render. Raises RenderNotFound."""
    return _found(renders.find(db, render_id), render_id)


def cancel(db: Session, render_id: str, actor: str) -> Render:
    """End a render as an error, refund it, and stop its workers. Raises RenderNotFound, or Conflict if it is over."""
    return _change(db, render_id, actor, "cancel", lambda render: leases.cancel(db, render, CANCELLED))


def retry(db: Session, render_id: str, actor: str, settings: Settings, doorbell: Doorbell) -> Render:
    """Queue a render that ended as an error once more, and charge it. Raises RenderNotFound, and as `submit.again`."""
    return _change(db, render_id, actor, "retry", lambda render: submit.again(db, render, settings, doorbell))


def put_first(db: Session, render_id: str, actor: str) -> Render:
    """Give the next turns to the waiting chunks of a render.

    Raises RenderNotFound, and Conflict when none of them waits, or all wait for the account to be resumed.
    """
    return _change(db, render_id, actor, "priority", lambda render: _put_first(db, render))


def queues(db: Session) -> list[QueueCounts]:
    """Each queue, also an empty one; without the chunks of suspended accounts that wait."""
    groups = statistics.unfinished_chunks(db)
    found = []
    for priority, name in QUEUE_NAMES.items():
        waiting = [group for group in groups if (group.priority, group.state) == (priority, "queued")]
        running = [group for group in groups if (group.priority, group.state) == (priority, "running")]
        number, running_number = (sum(group.number for group in some) for some in (waiting, running))
        oldest = min((group.oldest for group in waiting), default=None)
        found.append(QueueCounts(name, number, running_number, oldest))
    return found


def _put_first(db: Session, render: Render) -> None:
    if render.account.suspended_at:
        raise Conflict(f"{render.id} waits until its account, {render.account.email}, is resumed")
    if not chunks.put_first(db, render.account_id, render.shot_id):
        raise Conflict(f"No part of {render.id} waits: its status is {render.status}")


def _change(db: Session, render_id: str, actor: str, action: str, change: Callable[[Render], None]) -> Render:
    render = _found(renders.locked(db, render_id), render_id)
    change(render)
    audit.record(db, actor, f"renders {action}", render_id, account_id=render.account_id)
    return render


def _found(render: Render | None, render_id: str) -> Render:
    if render is None:
        raise RenderNotFound(f"There is no render {render_id}: it was deleted or never existed")
    return render

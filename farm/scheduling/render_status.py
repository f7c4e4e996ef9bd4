"""A render's status: the only place that writes it, with the transition table as data."""

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from farm.accounts import credits
from farm.db import cleanups, counters, renders
from farm.db.session import send
from farm.db.tables import Render, now
from farm.errors import InvalidTransition

# Forward steps come in this order; a second attempt passes the early ones again without going back.
ORDER = ["pending", "poster-processing", "poster-done", "video-processing", "done"]

NEXT: dict[str, set[str]] = {
    "pending": {"poster-processing", "error"},
    "poster-processing": {"poster-done", "error"},
    "poster-done": {"video-processing", "error"},
    "video-processing": {"done", "error"},
    "done": set(),
    "error": {"failed"},
    "failed": set(),
}

# An error stays one when a client has dismissed it.
WAYS = (ORDER, ["error", "failed"])

OVER = ("done", "error", "failed")

_BEGIN = update(Render).where(Render.shot_id == bindparam("its_shot"), Render.status == "pending")


def begin(db: Session, shot_id: str) -> None:
    """Move those of a shot's renders that are "pending" to the next status, past the session's objects."""
    send(db, _BEGIN, {"its_shot": shot_id, "status": "poster-processing", "updated_at": now()})


def advance(db: Session, render: Render, to: str, *, message: str | None = None) -> None:
    """Move `render` to status `to`; `message` tells a client why, with `error`.

    An error gives the render's credits back, and its segments up. A step that the render has taken already is passed
    over, so that every job can run twice. Raises InvalidTransition.
    """
    if any({to, render.status} <= set(way) and way.index(to) <= way.index(render.status) for way in WAYS):
        return
    if to not in NEXT[render.status]:
        raise InvalidTransition(f"render {render.id} cannot go from {render.status} to {to}")
    render.status, render.error_message, render.updated_at = to, message or render.error_message, now()
    if to == "error":
        credits.refund(db, render.id)
        renders.drop_segments(db, render.id)
    if to in ("done", "error"):
        cleanups.plan(db, render.id)
        took = (render.updated_at - render.created_at).total_seconds()
        counters.RENDER_SECONDS.observe(db, took, tier=render.shot.spec["tier"], status=to)

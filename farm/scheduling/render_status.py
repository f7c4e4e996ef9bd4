"""A render's status: the only module that writes it, with the transition table as data."""

from sqlalchemy.orm import Session

from farm.accounts import credits
from farm.db import cleanups, clock, counters, renders
from farm.db.tables import Render
from farm.errors import InvalidTransition

# Forward steps in order. A second attempt repeats the first of them, which changes nothing.
ORDER = ["pending", "poster-processing", "poster-done", "video-processing", "done"]

NEXT: dict[str, set[str]] = {
    "pending": {"poster-processing", "error"},
    "poster-processing": {"poster-done", "error"},
    "poster-done": {"video-processing", "error"},
    "video-processing": {"done", "error"},
    "done": set(),
    "error": {"failed", "pending"},  # dismissed, retried
    "failed": set(),
}

# A status that comes before the current one in either sequence has been passed.
SEQUENCES = (ORDER, ["error", "failed"])

OVER = ("done", "error", "failed")
UNFINISHED = tuple(status for status in NEXT if status not in OVER)


def advance(db: Session, render: Render, to: str, *, message: str | None = None) -> None:
    """Move `render` to status `to`; `message` is the reason of an "error", for clients.

    An error refunds the render's credits and drops its segments and assets. Advancing to a status that the
    render has passed changes nothing, so that every job can run twice. Raises InvalidTransition.
    """
    if any(_has_passed(sequence, render.status, to) for sequence in SEQUENCES):
        return
    if to not in NEXT[render.status]:
        raise InvalidTransition(f"render {render.id} cannot go from {render.status} to {to}")
    render.status, render.updated_at = to, clock.now(db)
    render.error_message = None if to == "pending" else message or render.error_message
    if to == "error":
        credits.refund(db, render.id)
        renders.drop_segments(db, render.id)
        renders.drop_assets(db, render.id)
    if to in ("done", "error"):
        cleanups.schedule(db, render.id)
        seconds = (render.updated_at - render.created_at).total_seconds()
        counters.RENDER_SECONDS.observe(db, seconds, tier=render.shot.spec["tier"], status=to)


def _has_passed(sequence: list[str], status: str, to: str) -> bool:
    return {status, to} <= set(sequence) and sequence.index(to) <= sequence.index(status)

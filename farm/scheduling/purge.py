"""Removes what is kept for a limited time: finished renders, models that cannot be rendered, rows of deleted models.

The ledger of credits stays. Files that cannot be removed at once are left to cleanups (farm.scheduling.cleanup).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.orm import Session

from farm.db import clock, counters, models, renders
from farm.db.session import Database, after_commit
from farm.db.tables import Model
from farm.scheduling.attempted import attempted
from farm.scheduling.render_status import OVER, UNFINISHED
from farm.settings import Settings
from farm.storage import Storage, discard

MAX_ROWS_PER_PASS = 1000  # of each kind, taken at random, so that rows that fail keep no others for ever


def purge(database: Database, storage: Storage, settings: Settings) -> None:
    """One pass. Each row is removed in a transaction of its own, so that none waits for another that fails."""
    remove_render = partial(_remove_render, storage=storage)
    if settings.retention_renders_days is not None:
        with database.read() as db:
            finished_before = _days_ago(db, settings.retention_renders_days)
            old_renders = renders.finished(db, finished_before, OVER, limit=MAX_ROWS_PER_PASS)
        _each(database, old_renders, partial(remove_render, finished_before=finished_before))
    with database.read() as db:
        failed_before = _days_ago(db, settings.retention_failed_models_days)
        failed = models.failed(db, failed_before, [*UNFINISHED, "done"], limit=MAX_ROWS_PER_PASS)
        deleted_before = _days_ago(db, settings.retention_deleted_days)
        deleted = models.unneeded_rows(db, deleted_before, limit=MAX_ROWS_PER_PASS)
    _each(database, failed, partial(_delete_failed_model, remove_render=remove_render))
    _each(database, deleted, _remove_model)


def _each(database: Database, ids: list[str], action: Callable[[Session, str], object]) -> None:
    for id_ in ids:
        with attempted(database, "purge", id_), database.write() as db:
            action(db, id_)


def _remove_render(db: Session, render_id: str, *, storage: Storage, finished_before: datetime) -> bool:
    """Remove a render with its files; not if it is under way again."""
    render = renders.locked(db, render_id)
    if render is None or render.status not in OVER or render.updated_at >= finished_before:
        return False
    keys = renders.remove(db, render)
    counters.PURGED.add(db, what="renders")
    after_commit(db, lambda: discard(storage, keys))
    return True


def _delete_failed_model(db: Session, model_id: str, *, remove_render: Callable[..., bool]) -> None:
    """Delete a model as its owner does, and its renders, which are all errors."""
    at = clock.now(db)
    removed = [remove_render(db, render_id, finished_before=at) for render_id in renders.ids_of_model(db, model_id)]
    if all(removed):
        db.get_one(Model, model_id).deleted_at = at


def _remove_model(db: Session, model_id: str) -> None:
    if models.remove(db, model_id):
        counters.PURGED.add(db, what="models")


def _days_ago(db: Session, days: int) -> datetime:
    return clock.now(db) - timedelta(days=days)

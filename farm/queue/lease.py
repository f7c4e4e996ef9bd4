"""A work-horse's hold on its chunk, renewed in the background while it works."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog
from sqlalchemy.orm import Session

from farm import leases
from farm.db.session import Database

log = structlog.get_logger()


class LeaseLost(Exception):
    """The chunk is no longer ours: another attempt has it, or the render was deleted. Stop, and publish nothing."""


class Lease:
    """One attempt's claim on a chunk. `frames_done` is what the next renewal reports."""

    def __init__(self, database: Database, chunk_id: str, attempt: int, worker: str, seconds: float) -> None:
        self.database, self.chunk_id, self.attempt = database, chunk_id, attempt
        self.worker, self.seconds = worker, seconds
        self.frames_done = 0

    def claim(self) -> bool:
        with self.database.write() as db:
            return leases.claim(db, self.chunk_id, self.attempt, worker=self.worker, seconds=self.seconds)

    def renew(self, db: Session) -> bool:
        return leases.renew(db, self.chunk_id, self.attempt, frames_done=self.frames_done, seconds=self.seconds)

    def complete(self, db: Session) -> bool:
        return leases.complete(db, self.chunk_id, self.attempt, frames_done=self.frames_done)

    @contextlib.contextmanager
    def kept(self, *, on_loss: Callable[[], None]) -> Iterator[None]:
        """Renew the lease once a second while the block runs, which also reports its progress.

        When the lease is lost, `on_loss` is called from the renewing thread (it should make the block fail soon), and
        whatever the block raises becomes LeaseLost.
        """
        over, lost = threading.Event(), threading.Event()

        def renew_again_and_again() -> None:
            while not over.wait(1.0):
                try:
                    with self.database.write() as db:
                        held = self.renew(db)
                except Exception:
                    log.exception("the lease could not be renewed; trying again", chunk=self.chunk_id)
                    continue
                if not held:
                    lost.set()
                    on_loss()
                    return

        thread = threading.Thread(target=renew_again_and_again, name="lease", daemon=True)
        thread.start()
        try:
            yield
        except Exception as error:
            if lost.is_set():
                raise LeaseLost from error
            raise
        finally:
            over.set()
            thread.join()
        if lost.is_set():
            raise LeaseLost

"""A work-horse's lease of its chunk, renewed in the background while it works."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog
from sqlalchemy.orm import Session

from farm.db import chunks, suspect_models
from farm.db.session import DATABASE_DOWN, Database
from farm.errors import LeaseLost, reason_of
from farm.nodes import registry
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import ClaimedChunk

log = structlog.get_logger()

# A worker notices only at a renewal that its render was deleted, and may then wait for the idle timeout of
# farm.blender.host_process: together less than the 5 s within which its work must stop.
RENEWAL_SECONDS = 2.0


class Lease:
    """One attempt's lease of a chunk, for `seconds` at a time. Each renewal reports `frames_done`.

    `store_log` stores the attempt's log in the transaction that ends the chunk.
    """

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        chunk: ClaimedChunk,
        seconds: float,
        store_log: Callable[[Session], None],
    ) -> None:
        self.database, self.doorbell, self.chunk, self.seconds = database, doorbell, chunk, seconds
        self.store_log = store_log
        self.frames_done = self._reported = 0

    @property
    def name(self) -> str:
        """Unique among all attempts of all chunks."""
        return f"{self.chunk.id}-{self.chunk.attempt}"

    def renew(self, db: Session) -> bool:
        """Extend the lease and report progress. False when the lease was lost."""
        done = self.frames_done
        held = leases.renew(db, self.chunk.id, self.chunk.attempt, frames_done=done, seconds=self.seconds)
        if held and done > self._reported:
            registry.record_frame(db, self.chunk.worker, self.chunk.id, self.chunk.first_frame + done - 1)
            self._reported = done
        return held

    @contextlib.contextmanager
    def publishing(self) -> Iterator[Session]:
        """A transaction that stores results of this attempt. Raises LeaseLost when they do not count."""
        with self.database.write() as db:
            chunks.lock_shot(db, self.chunk.shot_id)
            if not self.renew(db):
                raise LeaseLost
            yield db

    @contextlib.contextmanager
    def completing(self, drawing_seconds: float | None = None) -> Iterator[tuple[Session, set[str]]]:
        """A transaction that stores results and ends the chunk. Raises LeaseLost when they do not count.

        Also yields the ids of the renders that are not over. `drawing_seconds` is as in `leases.complete`. The
        attempt's log is stored last.
        """
        chunk = self.chunk
        with self.database.write() as db:
            unfinished = leases.complete(
                db, self.doorbell, chunk, frames_done=self.frames_done, drawing_seconds=drawing_seconds
            )
            if unfinished is None:
                raise LeaseLost
            yield db, unfinished
            log.info("chunk_done", kind=chunk.kind, frames=self.frames_done)
            last_frame = chunk.first_frame + self.frames_done - 1 if self.frames_done else None
            registry.record_success(db, chunk.worker, chunk.id, last_frame)
            if chunk.kind == "draw":
                suspect_models.clear(db, [chunk.model_sha256])
            self.store_log(db)

    @contextlib.contextmanager
    def renewed(self, *, on_loss: Callable[[], None]) -> Iterator[None]:
        """Renew the lease in a thread while the block runs.

        When the lease is lost, `on_loss` is called in that thread and should make the block fail soon; any exception
        of the block then becomes LeaseLost.
        """
        stop, lost = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._renew_until, args=(stop, lost, on_loss), name="lease", daemon=True)
        thread.start()
        try:
            yield
        except Exception as error:
            if lost.is_set():
                raise LeaseLost from error
            raise
        finally:
            stop.set()
            thread.join()
        if lost.is_set():
            raise LeaseLost

    def _renew_until(self, stop: threading.Event, lost: threading.Event, on_loss: Callable[[], None]) -> None:
        interval = min(RENEWAL_SECONDS, self.seconds / 4)  # a quarter: two renewals may fail
        while not stop.wait(interval):
            try:
                with self.database.write() as db:
                    held = self.renew(db)
            except Exception as error:
                is_outage = isinstance(error, DATABASE_DOWN)
                log.error("lease_renewal_failed", error=reason_of(error), exc_info=not is_outage)
                continue
            if not held:
                lost.set()
                on_loss()
                return

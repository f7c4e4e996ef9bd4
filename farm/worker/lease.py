"""A work-horse's hold on its chunk, renewed in the background while it works."""

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import structlog
from sqlalchemy.orm import Session

from farm.db import chunks
from farm.db.chunks import URGENT
from farm.db.session import Database, after_commit
from farm.errors import LeaseLost
from farm.nodes import registry
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import ClaimedChunk

log = structlog.get_logger()

# Seconds from one renewal to the next. A worker learns that late that its render was deleted, and may then wait for
# Blender (IDLE_TIMEOUT_SECONDS in farm.blender.client): together less than the 5 s within which its work shall stop.
RENEWAL = 2.0


class Lease:
    """One attempt's hold on a chunk, for `seconds` at a time. `frames_done` is what the next renewal reports.

    `store_log` stores the attempt's log, where it goes well.
    """

    def __init__(
        self, database: Database, chunk: ClaimedChunk, seconds: float, store_log: Callable[[Session], None]
    ) -> None:
        self.database, self.chunk, self.seconds, self.store_log = database, chunk, seconds, store_log
        self.frames_done = self._reported = 0

    @property
    def name(self) -> str:
        """What no other attempt of no other chunk is called."""
        return f"{self.chunk.id}-{self.chunk.attempt}"

    def renew(self, db: Session) -> bool:
        done = self.frames_done
        held = leases.renew(db, self.chunk.id, self.chunk.attempt, frames_done=done, seconds=self.seconds)
        if held and done > self._reported:
            registry.drew(db, self.chunk.worker, self.chunk.id, self.chunk.first_frame + done - 1)
            self._reported = done
        return held

    @contextlib.contextmanager
    def publishing(self) -> Iterator[Session]:
        """A transaction in which this attempt's results are written down. Raises LeaseLost when they do not count."""
        with self.database.write() as db:
            chunks.lock_shot(db, self.chunk.shot_id)
            if not self.renew(db):
                raise LeaseLost
            yield db

    @contextlib.contextmanager
    def completing(self, doorbell: Doorbell, took: float | None = None) -> Iterator[tuple[Session, set[str]]]:
        """A transaction like that of `publishing` which ends the chunk, too; `took` is as in `leases.complete`.

        Comes with the renders that are not over. The attempt's log is stored with it. Rings for those that finish its
        renders where it was the last.
        """
        with self.database.write() as db:
            completion = leases.complete(db, self.chunk, frames_done=self.frames_done, took=took)
            if completion is None:
                raise LeaseLost
            last = self.chunk.first_frame + self.frames_done - 1 if self.frames_done else None
            if len(completion.finishes) > 1:  # the first is what this work-horse takes next, or rings for at its end
                after_commit(db, partial(doorbell.ring, URGENT, len(completion.finishes) - 1))
            yield db, completion.wanted
            log.info("chunk done", kind=self.chunk.kind, frames=self.frames_done)
            registry.succeeded(db, self.chunk.worker, self.chunk.id, last)
            self.store_log(db)

    @contextlib.contextmanager
    def kept(self, *, on_loss: Callable[[], None]) -> Iterator[None]:
        """Renew the lease every RENEWAL while the block runs, oftener where it is short, which also reports progress.

        When the lease is lost, `on_loss` is called from the renewing thread (it should make the block fail soon), and
        whatever the block raises becomes LeaseLost.
        """
        hold = _Hold(self, on_loss)
        _holds.append(hold)
        _start_to_renew(min(RENEWAL, self.seconds / 4))  # a quarter: two renewals may fail
        try:
            yield
        except Exception as error:
            if hold.is_lost:
                raise LeaseLost from error
            raise
        finally:
            _holds.remove(hold)
            hold.let_go()
        if hold.is_lost:
            raise LeaseLost


class _Hold:
    """A lease that is renewed until it is let go, or lost."""

    def __init__(self, lease: Lease, on_loss: Callable[[], None]) -> None:
        self.lease, self.on_loss = lease, on_loss
        self.is_over = self.is_lost = False
        self.renewing = threading.Lock()

    def renew(self) -> None:
        with self.renewing:
            if self.is_over or self.is_lost:
                return
            try:
                with self.lease.database.autocommit() as db:
                    self.is_lost = not self.lease.renew(db)
                if self.is_lost:
                    self.on_loss()
            except Exception:  # the thread goes on, whatever happens: others hold leases, too
                log.exception("the lease could not be renewed; trying again")

    def let_go(self) -> None:
        """No renewal is under way any more once this returns."""
        with self.renewing:
            self.is_over = True


_holds: list[_Hold] = []  # of this process


@functools.cache
def _start_to_renew(pause: float) -> None:
    """One thread for all leases of a work-horse: to start one for each takes as long as two questions."""
    threading.Thread(target=_renew_again_and_again, args=(pause,), name="leases", daemon=True).start()


def _forget() -> None:
    """A forked process has neither the leases of its parent nor the thread."""
    _holds.clear()
    _start_to_renew.cache_clear()


os.register_at_fork(after_in_child=_forget)


def _renew_again_and_again(pause: float) -> None:
    while True:
        time.sleep(pause)
        for hold in list(_holds):
            hold.renew()

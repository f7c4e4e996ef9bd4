"""What runs inside a work-horse: one chunk, from the claim to the published files."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from farm import leases, state
from farm.blender.client import Blender
from farm.db.session import Database, after_commit
from farm.db.tables import Asset, Chunk, Overlay, Render
from farm.errors import FarmError, RenderFailed
from farm.plan import ShotSpec
from farm.production import produce, shot_to_draw
from farm.queue.lease import Lease, LeaseLost
from farm.queue.node import Node, current
from farm.queue.queues import Doorbell, connect
from farm.render_settings import RenderSettings, parse
from farm.storage import FolderStorage, Storage
from farm.video.backgrounds import BackgroundPicture
from farm.video.run import executable
from farm.video.variant import Files, Variant

log = structlog.get_logger()


def render_chunk(chunk_id: str, attempt: int) -> None:
    """Draw one chunk and publish its render's files. Safe to run twice: only the current attempt counts."""
    node = current()
    database = Database(node.settings.database)
    try:
        lease = Lease(database, chunk_id, attempt, node.name, node.settings.lease_seconds)
        if not lease.claim():
            log.info("nothing to do: the chunk is gone, taken or on another attempt", chunk=chunk_id, attempt=attempt)
            return
        try:
            _work(node, database, lease)
            log.info("chunk done", chunk=chunk_id, attempt=attempt, frames=lease.frames_done)
        except LeaseLost:
            log.warning("the chunk was taken away or deleted", chunk=chunk_id, attempt=attempt)
        except Exception as error:
            log.warning("the attempt failed", chunk=chunk_id, attempt=attempt, error=str(error), exc_info=True)
            give_back(node, database, chunk_id, attempt, error)
            raise
    finally:
        database.close()


def give_back(node: Node, database: Database, chunk_id: str, attempt: int, error: BaseException) -> None:
    """Record a failed attempt, and ring for the next one where there is one."""
    reason = error if isinstance(error, FarmError) else RenderFailed()
    with connect(node.settings.redis_url) as redis, database.write() as db:
        chunk = leases.fail(db, chunk_id, attempt, reason, attempts=node.settings.attempts)
        if chunk:
            bell = Doorbell(redis)
            after_commit(db, lambda: bell.ring(chunk))


def _work(node: Node, database: Database, lease: Lease) -> None:
    storage = FolderStorage(node.settings.files)
    with database.read() as db:
        chunk = db.get_one(Chunk, lease.chunk_id)
        spec = ShotSpec(**chunk.shot.spec)
        render = db.scalars(select(Render).where(Render.shot_id == chunk.shot_id)).one()
        render_id, wish, model_key = render.id, parse(render.settings), render.model.storage_key
        picture = _background(db, storage, wish)
    with _scratch(node.scratch) as folder, Blender(node.blender_socket, node.settings.frame_timeout) as blender:
        files = Files(folder, spec.tier)
        variant = Variant(spec, wish, picture, files, executable(node.settings.ffmpeg))
        shot = shot_to_draw(spec, storage.local(model_key), node.engine)
        with database.write() as db:
            _advance(db, render_id, "poster-processing")
        with lease.kept(on_loss=blender.hang_up):
            for done in produce(blender, shot, spec, variant):
                lease.frames_done = done
                if done == 1:
                    publish(database, storage, lease, render_id, files.posters, "poster-done")
                    with database.write() as db:
                        _advance(db, render_id, "video-processing")
        publish(database, storage, lease, render_id, files.videos, "done")


def _background(db: Session, storage: Storage, wish: RenderSettings) -> BackgroundPicture | None:
    """The picture that was asked for. An overlay deleted meanwhile keeps its file until no render waits for it."""
    if wish.bg_image_id is None:
        return None
    overlay = db.get_one(Overlay, wish.bg_image_id)
    return BackgroundPicture(storage.local(overlay.storage_key), wish.bg_align)


CONTENT_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".png": "image/png"}


def publish(
    database: Database, storage: Storage, lease: Lease, render_id: str, files: dict[str, Path], status: str
) -> None:
    """Store finished files by kind and move the render on to `status`, if this attempt still counts.

    Every attempt stores under keys of its own, so that a late one cannot touch what a newer one published. Raises
    LeaseLost when this attempt no longer counts, and takes its files out of the storage again.
    """
    keys = {kind: f"renders/{render_id}/{lease.attempt}/{kind}{path.suffix}" for kind, path in files.items()}
    try:
        for kind, path in files.items():
            storage.put(keys[kind], path)
        with database.write() as db:
            held = lease.complete(db) if status == "done" else lease.renew(db)
            if not held:
                raise LeaseLost
            replaced = list(db.scalars(select(Asset).where(Asset.render_id == render_id, Asset.kind.in_(files))))
            for asset in replaced:
                db.delete(asset)
            db.flush()
            for kind, path in files.items():
                type_, size = CONTENT_TYPES[path.suffix], path.stat().st_size
                db.add(Asset(render_id=render_id, kind=kind, storage_key=keys[kind], content_type=type_, size=size))
            _advance(db, render_id, status)
    except BaseException:
        for key in keys.values():
            storage.delete(key)
        raise
    for asset in replaced:
        if asset.storage_key not in keys.values():
            storage.delete(asset.storage_key)


def _advance(db: Session, render_id: str, status: str) -> None:
    render = db.get(Render, render_id)
    if render is None:
        raise LeaseLost
    state.advance(db, render, status)


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="work-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

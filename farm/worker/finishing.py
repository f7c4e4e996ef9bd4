"""Finishing a render: its segments joined without encoding anything again, its files published."""

from collections import defaultdict
from pathlib import Path

from sqlalchemy import select

from farm.db import renders
from farm.db.tables import Chunk, Render, Segment
from farm.errors import RenderFailed
from farm.orders.plan import ShotSpec
from farm.scheduling import render_status
from farm.scheduling.doorbell import Doorbell
from farm.storage import Storage, discard
from farm.video import graphs
from farm.video.run import Encoder, executable
from farm.video.variant import Files
from farm.worker import publishing
from farm.worker.context import Node
from farm.worker.lease import Lease


def finish(node: Node, lease: Lease, storage: Storage, doorbell: Doorbell, scratch: Path) -> None:
    """Join and publish. Raises LeaseLost when the attempt does not count any more, and RenderFailed."""
    [render_id], spec = [render.id for render in lease.chunk.renders], ShotSpec(**lease.chunk.spec)
    with lease.database.read() as db:
        chunks = select(Chunk.id).where(Chunk.shot_id == lease.chunk.shot_id, Chunk.kind == "draw")
        drawn = list(db.scalars(chunks.order_by(Chunk.first_frame)))
        segments = list(db.scalars(select(Segment).where(Segment.render_id == render_id)))
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for segment in segments:
        parts[segment.kind][segment.chunk_id] = segment.storage_key
    files = Files(scratch, spec.tier).videos
    with lease.kept(on_loss=lambda: None):
        for kind, path in files.items():
            if parts[kind].keys() != set(drawn):
                raise RenderFailed("A part of the video is missing")
            join(node, [storage.local(parts[kind][part]) for part in drawn], path)
    keys = {publishing.key(render_id, lease, path): path for path in files.values()}
    with publishing.stored(storage, lease, keys), lease.completing(doorbell) as (db, _wanted):
        render = db.get_one(Render, render_id)
        replaced = publishing.replace_assets(db, render_id, lease, files)
        renders.drop_segments(db, render_id)
        render_status.advance(db, render, "done")
    discard(storage, replaced + [segment.storage_key for segment in segments])


def join(node: Node, segments: list[Path], into: Path) -> None:
    """Make one file of segments, in order. Raises EncodingFailed."""
    with Encoder(executable(node.settings.ffmpeg), graphs.join(segments, into.with_suffix(".txt"), into)):
        pass  # it reads files, and no frames from us

"""Finishing a render: its segments are joined without encoding them again, and its files published."""

from collections import defaultdict
from pathlib import Path

from farm.db import chunks, renders
from farm.db.tables import Render
from farm.errors import RenderFailed
from farm.orders.plan import ShotSpec
from farm.scheduling import render_status
from farm.storage import Storage, discard
from farm.video import graphs
from farm.video.run import Encoder, executable
from farm.video.variant import Files
from farm.worker import publishing
from farm.worker.context import WorkerContext
from farm.worker.lease import Lease


def finish_video(context: WorkerContext, lease: Lease, storage: Storage, scratch: Path) -> None:
    """Join and publish. Raises LeaseLost when the attempt no longer counts, and RenderFailed."""
    [render_id], spec = [render.id for render in lease.chunk.renders], ShotSpec(**lease.chunk.spec)
    with lease.database.read() as db:
        drawn = [chunk.id for chunk in chunks.of_shot(db, lease.chunk.shot_id)]
        segments = renders.segments(db, render_id)
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for segment in segments:
        parts[segment.kind][segment.chunk_id] = segment.storage_key
    files = Files(scratch, spec.tier).videos
    with lease.renewed(on_loss=lambda: None):
        for kind, path in files.items():
            if parts[kind].keys() != set(drawn):
                raise RenderFailed("A part of the video is missing")
            join(context, [storage.local(parts[kind][chunk_id]) for chunk_id in drawn], path)
    keys = {publishing.key(render_id, lease, path): path for path in files.values()}
    with publishing.stored(storage, lease, keys), lease.completing() as (db, _):
        render = db.get_one(Render, render_id)
        replaced = publishing.replace_assets(db, render_id, lease, files)
        renders.drop_segments(db, render_id)
        render_status.advance(db, render, "done")
    discard(storage, replaced + [segment.storage_key for segment in segments])


def join(context: WorkerContext, segments: list[Path], into: Path) -> None:
    """Join segments, in order, into one file. Raises EncodingFailed."""
    arguments = graphs.join(segments, into.with_suffix(".txt"), into)
    with Encoder(executable(context.settings.ffmpeg), arguments, into.parent, segments):
        pass  # ffmpeg reads the segments itself

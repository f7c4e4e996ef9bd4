"""Chunks of datasets: drawing stores each view as a part of its own, finishing joins all parts.

A view is done once its part is stored: the next attempt at the chunk draws only the views that are missing.
"""

import time
import zipfile
from pathlib import Path

from PIL import Image

from farm import templates
from farm.dataset import produce
from farm.db import renders
from farm.db.tables import Render, Segment
from farm.errors import BadTemplate, LeaseLost, RenderFailed
from farm.orders.dataset_plan import DatasetSpec
from farm.processes.scratch import own_scratch
from farm.scheduling import render_status
from farm.storage import Storage, discard
from farm.video import variant
from farm.worker import budget, publishing
from farm.worker.context import WorkerContext
from farm.worker.drawing import DrawingStats, adopt_template
from farm.worker.lease import Lease


def draw_dataset_chunk(context: WorkerContext, lease: Lease, storage: Storage, scratch: Path) -> None:
    """Draw the chunk's views that are not drawn yet, and store each.

    Raises LeaseLost when the attempt no longer counts, and RenderFailed.
    """
    chunk = lease.chunk
    spec = DatasetSpec(**chunk.spec)
    [render_id] = [render.id for render in chunk.renders]
    numbers = range(chunk.first_frame, chunk.first_frame + chunk.frames)
    with lease.database.read() as db:
        drawn = {part.kind for part in renders.segments(db, render_id)}
    if templates.version(spec.template) != spec.template_version:
        if drawn:
            raise BadTemplate(f"The template {spec.template} was changed while this dataset was drawn: order it again")
        spec = adopt_template(lease, spec)
    missing = [number for number in numbers if _kind(number) not in drawn]
    lease.frames_done = len(numbers) - len(missing)
    began = time.monotonic()
    if missing:
        with (
            context.blender() as blender,
            lease.renewed(on_loss=blender.hang_up),
        ):
            model = storage.local(chunk.model_key)
            shot = spec.shot(str(model), context.engine)
            blender.limit(budget.seconds_in_all(context, lease, spec, model), chunk.frames, spent=chunk.seconds_lost)
            parts = produce.draw_views(blender, shot, spec, missing, scratch)
            for number, part in zip(missing, parts, strict=True):
                if number == 0:  # before its part: a view that is stored is never drawn again
                    _publish_posters(lease, storage, render_id, part)
                lease.frames_done += 1
                _publish_part(lease, storage, render_id, number, part)
                part.unlink()
    seconds = time.monotonic() - began
    stats = DrawingStats(context.name, spec.tier, context.engine, drawn=len(missing), cached=0, seconds=seconds)
    with lease.completing(stats.seconds if len(missing) == len(numbers) else None) as (db, _):
        stats.count(db)


def finish_dataset(context: WorkerContext, lease: Lease, storage: Storage, _: Path) -> None:
    """Join the parts and publish the dataset. Raises LeaseLost and RenderFailed."""
    [render_id], spec = [render.id for render in lease.chunk.renders], DatasetSpec(**lease.chunk.spec)
    with lease.database.read() as db:
        parts = {part.kind: part.storage_key for part in renders.segments(db, render_id)}
    if any(_kind(number) not in parts for number in range(spec.views)):
        raise RenderFailed("A view of the dataset is missing")
    context.settings.make_data_folder()
    # On disk, not in memory: a large dataset has gigabytes.
    with own_scratch(context.settings.data) as folder:
        dataset = folder / "dataset.zip"
        with lease.renewed(on_loss=lambda: None):
            produce.finish(spec, lambda number: storage.local(parts[_kind(number)]), dataset)
        keys = {publishing.key(render_id, lease, dataset): dataset}
        with publishing.stored(storage, lease, keys), lease.completing() as (db, _unfinished):
            render = db.get_one(Render, render_id)
            replaced = publishing.replace_assets(db, render_id, lease, {"dataset": dataset})
            renders.drop_segments(db, render_id)
            render_status.advance(db, render, "done")
    discard(storage, replaced + list(parts.values()))


def _publish_part(lease: Lease, storage: Storage, render_id: str, number: int, part: Path) -> None:
    key = publishing.key(render_id, lease, part)
    with publishing.stored(storage, lease, {key: part}), lease.publishing() as db:
        if db.get(Render, render_id) is None:
            raise LeaseLost
        db.add(Segment(render_id=render_id, chunk_id=lease.chunk.id, kind=_kind(number), storage_key=key))


def _publish_posters(lease: Lease, storage: Storage, render_id: str, part: Path) -> None:
    """The first view, small and full size, as the render's posters."""
    posters = variant.posters(part.parent)
    with zipfile.ZipFile(part) as files:
        posters["poster-full"].write_bytes(files.read("images.png"))
    variant.save_thumbnails(Image.open(posters["poster-full"]), posters)
    keys = {publishing.key(render_id, lease, path): path for path in posters.values()}
    with publishing.stored(storage, lease, keys), lease.publishing() as db:
        render = db.get(Render, render_id)
        if render is None:
            raise LeaseLost
        replaced = publishing.replace_assets(db, render_id, lease, posters)
        render_status.advance(db, render, "poster-done")
        render_status.advance(db, render, "video-processing")
    discard(storage, replaced)


def _kind(number: int) -> str:
    """The kind of the segment that is a view's part."""
    return f"view-{number:04d}"

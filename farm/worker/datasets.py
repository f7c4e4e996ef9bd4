"""Datasets in the queue: a chunk draws some of the views, each into a stored part of its own, and the finish joins all.

Every view counts from the moment that its part is stored: whoever takes the chunk over goes on with those that lack.
"""

import time
import zipfile
from pathlib import Path

from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from farm import templates
from farm.blender.client import Blender
from farm.dataset import produce
from farm.db import renders
from farm.db.tables import Render, Segment
from farm.errors import BadTemplate, LeaseLost, RenderFailed
from farm.orders.dataset_plan import DatasetSpec
from farm.processes.scratch import own_scratch
from farm.scheduling import render_status
from farm.scheduling.doorbell import Doorbell
from farm.storage import Storage, discard
from farm.video.variant import save_thumbnail
from farm.worker import publishing
from farm.worker.context import Node
from farm.worker.drawing import Effort, settle_template
from farm.worker.lease import Lease


def draw(node: Node, lease: Lease, storage: Storage, doorbell: Doorbell, scratch: Path) -> None:
    """Draw the views of a chunk that are not drawn yet, and store each.

    Raises LeaseLost when the attempt does not count any more, and RenderFailed.
    """
    chunk = lease.chunk
    spec, model_key = DatasetSpec(**chunk.spec), chunk.model_key
    [render_id] = [render.id for render in chunk.renders]
    numbers = range(chunk.first_frame, chunk.first_frame + chunk.frames)
    with lease.database.read() as db:
        drawn = {part.kind for part in _parts(db, render_id)}
    if templates.version(spec.template) != spec.template_version:
        if drawn:
            raise BadTemplate(f"The template {spec.template} was changed while this dataset was drawn: order it again")
        spec = settle_template(lease, spec)
    missing = [number for number in numbers if _kind(number) not in drawn]
    lease.frames_done = len(numbers) - len(missing)
    began = time.monotonic()
    if missing:
        with Blender(node.blender_socket, node.settings.frame_timeout) as blender, lease.kept(on_loss=blender.hang_up):
            shot = spec.shot(str(storage.local(model_key)), node.engine)
            for number, part in zip(missing, produce.draw_views(blender, shot, spec, missing, scratch), strict=True):
                if number == 0:  # before the part: a view that is stored is never drawn again
                    _publish_posters(lease, storage, render_id, part)
                lease.frames_done += 1
                _publish_part(lease, storage, render_id, number, part)
                part.unlink()
    effort = Effort(spec.tier, node.engine, drawn=len(missing), cached=0, seconds=time.monotonic() - began)
    with lease.completing(doorbell, effort.seconds if len(missing) == len(numbers) else None) as (db, _wanted):
        effort.count(db)


def finish(node: Node, lease: Lease, storage: Storage, doorbell: Doorbell, _: Path) -> None:
    """Put the dataset together and publish it. Raises LeaseLost and RenderFailed."""
    [render_id], spec = [render.id for render in lease.chunk.renders], DatasetSpec(**lease.chunk.spec)
    with lease.database.read() as db:
        parts = {part.kind: part.storage_key for part in _parts(db, render_id)}
    if any(_kind(number) not in parts for number in range(spec.views)):
        raise RenderFailed("A view of the dataset is missing")
    node.settings.data.mkdir(parents=True, exist_ok=True)
    # On disk, not in memory: a large dataset has gigabytes.
    with own_scratch(node.settings.data) as folder:
        dataset = folder / "dataset.zip"
        with lease.kept(on_loss=lambda: None):
            produce.finish(spec, lambda number: storage.local(parts[_kind(number)]), dataset)
        keys = {publishing.key(render_id, lease, dataset): dataset}
        with publishing.stored(storage, lease, keys), lease.completing(doorbell) as (db, _wanted):
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
    """The first view, small and whole, as the render's posters."""
    posters = {"poster": part.with_name("poster-small.png"), "poster-full": part.with_name("poster.png")}
    with zipfile.ZipFile(part) as files:
        posters["poster-full"].write_bytes(files.read("images.png"))
    save_thumbnail(Image.open(posters["poster-full"]), posters["poster"])
    keys = {publishing.key(render_id, lease, path): path for path in posters.values()}
    with publishing.stored(storage, lease, keys), lease.publishing() as db:
        render = db.get(Render, render_id)
        if render is None:
            raise LeaseLost
        replaced = publishing.replace_assets(db, render_id, lease, posters)
        render_status.advance(db, render, "poster-done")
        render_status.advance(db, render, "video-processing")
    discard(storage, replaced)


def _parts(db: Session, render_id: str) -> list[Segment]:
    """The views that are drawn."""
    return list(db.scalars(select(Segment).where(Segment.render_id == render_id)))


def _kind(number: int) -> str:
    """What the part of a view is called among a render's segments."""
    return f"view-{number:04d}"

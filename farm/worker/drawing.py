"""Drawing a chunk: a range of a shot's frames, composited and encoded for every render of the shot."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from farm import templates
from farm.blender.client import Blender
from farm.db import counters
from farm.db.session import later
from farm.db.tables import Chunk, Overlay, Render, Segment
from farm.errors import BadTemplate, LeaseLost, RenderFailed
from farm.orders.dataset_plan import DatasetSpec
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import RenderSettings, parse
from farm.rendering.frame_cache import FrameCache
from farm.rendering.production import draw_frames, produce, shot_setup
from farm.scene.shot import Engine
from farm.scheduling import render_status
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import ClaimedRender
from farm.storage import Storage, discard
from farm.video.backgrounds import BackgroundPicture
from farm.video.run import executable
from farm.video.variant import Files, Variant
from farm.worker import publishing
from farm.worker.context import Node
from farm.worker.lease import Lease

log = structlog.get_logger()

_SEGMENT = insert(Segment)

Spec = TypeVar("Spec", ShotSpec, DatasetSpec)


@dataclass(frozen=True)
class Order:
    """One render that the frames are drawn for; `picture` is the storage key of what lies behind them."""

    render_id: str
    request: RenderSettings
    picture: str | None
    files: Files


@dataclass(frozen=True)
class Effort:
    """What a chunk took: frames drawn, frames from the cache, and seconds for all."""

    tier: str
    engine: Engine
    drawn: int
    cached: int
    seconds: float

    def count(self, db: Session) -> None:
        for source, frames in (("drawn", self.drawn), ("cache", self.cached)):
            if frames:
                counters.FRAMES.add(db, frames, tier=self.tier, engine=self.engine, source=source)
        if self.drawn:
            counters.DRAWING_SECONDS.add(db, self.seconds, tier=self.tier, engine=self.engine)


def draw(node: Node, lease: Lease, storage: Storage, doorbell: Doorbell, scratch: Path) -> None:
    """Draw the chunk, store its segments, and let the renders be finished when it was the shot's last.

    Raises LeaseLost when the attempt does not count any more, and RenderFailed.
    """
    chunk = lease.chunk
    spec, model_key = ShotSpec(**chunk.spec), chunk.model_key
    numbers = range(chunk.first_frame, chunk.first_frame + chunk.frames)
    orders = [_order(lease, render, scratch, spec.tier) for render in chunk.renders if not render.is_over]
    if templates.version(spec.template) != spec.template_version:
        spec = settle_template(lease, spec)
    cache = FrameCache.of(node.settings, spec, node.engine)
    cached = sum(cache.holds(number) for number in numbers) if cache else 0
    with Blender(node.blender_socket, node.settings.frame_timeout) as blender, lease.kept(on_loss=blender.hang_up):
        variants, faults = _variants(node, storage, spec, orders)
        if faults:
            _give_up(lease, faults)
        if not variants:
            raise LeaseLost
        shot = shot_setup(spec, storage.local(model_key), node.engine)
        began = time.monotonic()
        frames = draw_frames(blender, shot, spec, numbers, cache, scratch)
        for done in produce(frames, list(variants.values())):
            lease.frames_done = done
            if numbers.start == 0 and done == 1:
                for order in variants:
                    _publish_posters(lease, storage, order)
    effort = Effort(spec.tier, node.engine, len(numbers) - cached, cached, time.monotonic() - began)
    _publish_segments(lease, storage, doorbell, list(variants), effort)


def settle_template(lease: Lease, spec: Spec) -> Spec:
    """The shot's spec, brought up to the template as it is now, if nothing of the shot is drawn yet.

    Raises BadTemplate otherwise, as the chunks would not match.
    """
    with lease.publishing() as db:
        chunk = db.get_one(Chunk, lease.chunk.id)
        if any(other.state != "queued" for other in chunk.shot.chunks if other.id != chunk.id):
            raise BadTemplate(
                f"The template {spec.template} was changed while this render was drawn, or the nodes have several"
                " versions of it: order the render again"
            )
        spec = replace(spec, template_version=templates.version(spec.template))
        chunk.shot.spec, chunk.shot.digest = spec.to_json(), spec.digest
    return spec


def _order(lease: Lease, render: ClaimedRender, scratch: Path, tier: str) -> Order:
    request, picture = parse(render.settings), None
    if request.bg_image_id:
        with lease.database.read() as db:
            # One that was deleted meanwhile keeps its file until no render waits for it.
            picture = db.get_one(Overlay, request.bg_image_id).storage_key
    return Order(render.id, request, picture, Files(scratch / render.id, tier))


def _variants(
    node: Node, storage: Storage, spec: ShotSpec, orders: list[Order]
) -> tuple[dict[Order, Variant], dict[Order, str]]:
    """A variant for each order, or what is wrong with its background."""
    ffmpeg = executable(node.settings.ffmpeg)
    variants, faults = {}, {}
    for order in orders:
        order.files.folder.mkdir()
        try:
            request = order.request
            picture = order.picture and BackgroundPicture(storage.local(order.picture), request.bg_align)
            variants[order] = Variant(spec, request, picture or None, order.files, ffmpeg)
        except RenderFailed as error:
            faults[order] = error.message
    return variants, faults


def _give_up(lease: Lease, faults: dict[Order, str]) -> None:
    """End the renders whose background cannot be read, and only these."""
    with lease.publishing() as db:
        for order, message in faults.items():
            if render := _wanted(db, order):
                render_status.advance(db, render, "error", message=message)


def _wanted(db: Session, order: Order) -> Render | None:
    """The render, unless it was deleted meanwhile or is over, because its background cannot be read."""
    return db.scalar(select(Render).where(Render.id == order.render_id, Render.status.not_in(render_status.OVER)))


def _publish_posters(lease: Lease, storage: Storage, order: Order) -> None:
    files = order.files.posters
    keys = {publishing.key(order.render_id, lease, path): path for path in files.values()}
    with publishing.stored(storage, lease, keys), lease.publishing() as db:
        render = _wanted(db, order)
        if render:
            replaced = publishing.replace_assets(db, order.render_id, lease, files)
            render_status.advance(db, render, "poster-done")
            render_status.advance(db, render, "video-processing")
    discard(storage, replaced if render else keys)


def _publish_segments(lease: Lease, storage: Storage, doorbell: Doorbell, orders: list[Order], effort: Effort) -> None:
    videos = [(order.render_id, kind, path) for order in orders for kind, path in order.files.videos.items()]
    keys = {publishing.key(render_id, lease, path): path for render_id, _, path in videos}
    took = None if effort.cached else effort.seconds
    with publishing.stored(storage, lease, keys), lease.completing(doorbell, took) as (db, wanted):
        segments = [
            {"render_id": render_id, "chunk_id": lease.chunk.id, "kind": kind, "storage_key": key}
            for (render_id, kind, _), key in zip(videos, keys, strict=True)
            if render_id in wanted
        ]
        for segment in segments:
            later(db, _SEGMENT, segment)
        effort.count(db)
    discard(storage, keys.keys() - {segment["storage_key"] for segment in segments})

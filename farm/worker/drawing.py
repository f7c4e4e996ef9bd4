"""Drawing a chunk: a range of a shot's frames, composited and encoded for every render of the shot."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

from sqlalchemy.orm import Session

from farm import templates
from farm.db import counters, renders
from farm.db.tables import Chunk, Overlay, Segment
from farm.errors import BadTemplate, RenderFailed
from farm.orders.dataset_plan import DatasetSpec
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import Anchor, RenderSettings, parse
from farm.rendering.frame_cache import FrameCache
from farm.rendering.production import draw_frames, produce, shot_setup
from farm.scene.shot import Engine
from farm.scheduling import render_status
from farm.scheduling.leases import ClaimedRender
from farm.storage import Storage, discard
from farm.video.backgrounds import OverlayPicture
from farm.video.run import executable
from farm.video.variant import Files, Variant
from farm.worker import budget, publishing
from farm.worker.context import WorkerContext
from farm.worker.lease import Lease

Spec = TypeVar("Spec", ShotSpec, DatasetSpec)


@dataclass(frozen=True)
class StoredOverlay:
    """The storage key of an overlay's picture, and the side or corner that cropping keeps."""

    key: str
    anchor: Anchor


@dataclass(frozen=True)
class RenderTarget:
    """One render that the frames are drawn for; the overlays are those that its settings name."""

    render_id: str
    request: RenderSettings
    background: StoredOverlay | None
    foreground: StoredOverlay | None
    files: Files


@dataclass(frozen=True)
class DrawingStats:
    """Frames that a node has drawn, frames from its cache, and the seconds that both took together."""

    node: str
    tier: str
    engine: Engine
    drawn: int
    cached: int
    seconds: float

    def count(self, db: Session) -> None:
        for source, frames in (("drawn", self.drawn), ("cache", self.cached)):
            if frames:
                counters.FRAMES.add(db, frames, tier=self.tier, engine=self.engine, source=source, node=self.node)
        if self.drawn:
            counters.DRAWING_SECONDS.add(db, self.seconds, tier=self.tier, engine=self.engine, node=self.node)


def draw_video_chunk(context: WorkerContext, lease: Lease, storage: Storage, scratch: Path) -> None:
    """Draw the chunk's frames, encode them for every render, and store the segments.

    Raises LeaseLost when the attempt no longer counts, and RenderFailed.
    """
    chunk = lease.chunk
    spec = ShotSpec(**chunk.spec)
    numbers = range(chunk.first_frame, chunk.first_frame + chunk.frames)
    targets = [target_of(lease, render, scratch, spec.tier) for render in chunk.renders if not render.is_over]
    if templates.version(spec.template) != spec.template_version:
        spec = adopt_template(lease, spec)
    cache = FrameCache.of(context.settings, spec, context.engine)
    needed = {spec.poster_frame, *numbers} if numbers.start == 0 else set(numbers)
    cached = sum(cache.holds(number) for number in needed) if cache else 0
    with (
        context.blender() as blender,
        lease.renewed(on_loss=blender.hang_up),
    ):
        variants, failures = _variants(context, storage, spec, targets)
        if failures:
            _end_with_errors(lease, failures)
        model = storage.local(chunk.model_key)
        shot = shot_setup(spec, model, context.engine)
        blender.limit(budget.seconds_in_all(context, lease, spec, model), chunk.frames, spent=chunk.seconds_lost)
        began = time.monotonic()
        if numbers.start == 0 and spec.poster_frame != 0 and variants:
            # Drawn first, so that a client sees the poster early; the last chunk may find it in the cache.
            poster = range(spec.poster_frame, spec.poster_frame + 1)
            for frame in draw_frames(blender, shot, spec, poster, cache, scratch):
                for target, variant in variants.items():
                    variant.save_posters(frame)
                    publish_posters(lease, storage, target)
        frames = draw_frames(blender, shot, spec, numbers, cache, scratch) if variants else ()
        for done in produce(frames, list(variants.values())):
            lease.frames_done = done
            if numbers.start + done - 1 == spec.poster_frame == 0:
                for target in variants:
                    publish_posters(lease, storage, target)
    if not variants:  # all renders have ended meanwhile: there was nothing left to draw
        with lease.completing():
            return
    seconds = time.monotonic() - began
    stats = DrawingStats(context.name, spec.tier, context.engine, len(needed) - cached, cached, seconds)
    publish_segments(lease, storage, list(variants), stats)


def adopt_template(lease: Lease, spec: Spec) -> Spec:
    """The shot's spec with the current version of its template, if none of the shot's frames is drawn yet.

    Raises BadTemplate otherwise, as frames of two versions would not match.
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


def target_of(lease: Lease, render: ClaimedRender, scratch: Path, tier: str) -> RenderTarget:
    request, background, foreground = parse(render.settings), None, None
    with lease.database.read() as db:
        # The file of a deleted overlay stays as long as a render needs it.
        if request.bg_image_id:
            background = StoredOverlay(db.get_one(Overlay, request.bg_image_id).storage_key, request.bg_align)
        if request.fg_image_id:
            overlay = db.get_one(Overlay, request.fg_image_id)
            foreground = StoredOverlay(overlay.storage_key, cast(Anchor, overlay.alignment))
    return RenderTarget(render.id, request, background, foreground, Files(scratch / render.id, tier))


def _variants(
    context: WorkerContext, storage: Storage, spec: ShotSpec, targets: list[RenderTarget]
) -> tuple[dict[RenderTarget, Variant], dict[RenderTarget, str]]:
    """A variant for each target, or the error message about one of its overlays."""
    ffmpeg = executable(context.settings.ffmpeg)
    variants, failures = {}, {}
    for target in targets:
        target.files.folder.mkdir()
        try:
            background, foreground = (
                OverlayPicture(storage.local(overlay.key), overlay.anchor) if overlay else None
                for overlay in (target.background, target.foreground)
            )
            variants[target] = Variant(spec, target.request, background, target.files, ffmpeg, foreground=foreground)
        except RenderFailed as error:
            failures[target] = error.message
    return variants, failures


def _end_with_errors(lease: Lease, failures: dict[RenderTarget, str]) -> None:
    """End the renders with an overlay that cannot be read, and only these."""
    with lease.publishing() as db:
        for target, message in failures.items():
            if render := renders.unfinished(db, target.render_id, render_status.OVER):
                render_status.advance(db, render, "error", message=message)


def publish_posters(lease: Lease, storage: Storage, target: RenderTarget) -> None:
    files = target.files.posters
    keys = {publishing.key(target.render_id, lease, path): path for path in files.values()}
    with publishing.stored(storage, lease, keys), lease.publishing() as db:
        render = renders.unfinished(db, target.render_id, render_status.OVER)
        if render:
            replaced = publishing.replace_assets(db, target.render_id, lease, files)
            render_status.advance(db, render, "poster-done")
            render_status.advance(db, render, "video-processing")
    discard(storage, replaced if render else keys)


def publish_segments(lease: Lease, storage: Storage, targets: list[RenderTarget], stats: DrawingStats) -> None:
    videos = [(target.render_id, kind, path) for target in targets for kind, path in target.files.videos.items()]
    keys = {publishing.key(render_id, lease, path): path for render_id, _, path in videos}
    drawing_seconds = None if stats.cached else stats.seconds
    with publishing.stored(storage, lease, keys), lease.completing(drawing_seconds) as (db, unfinished):
        segments = [
            Segment(render_id=render_id, chunk_id=lease.chunk.id, kind=kind, storage_key=key)
            for (render_id, kind, _), key in zip(videos, keys, strict=True)
            if render_id in unfinished
        ]
        db.add_all(segments)
        stats.count(db)
    discard(storage, keys.keys() - {segment.storage_key for segment in segments})

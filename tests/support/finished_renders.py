"""Finished renders without a worker: the rows and files that one leaves behind, of made-up bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from farm.db.session import Database
from farm.db.tables import Asset, Render
from farm.orders.render_settings import parse
from farm.scheduling import render_status
from farm.scheduling.doorbell import Doorbell
from farm.storage import Storage
from farm.tiers import TIERS
from tests.support.chunks import drawn

Finish = Callable[[str], dict[str, bytes]]

FILES = {
    "video": (b"the video " * 1000, ".mp4", "video/mp4"),
    "thumb": (b"the thumb " * 100, ".mp4", "video/mp4"),
    "thumb-still": (b"the still", ".jpg", "image/jpeg"),
    "poster": (b"the small poster", ".png", "image/png"),
    "poster-full": (b"the large poster " * 10, ".png", "image/png"),
}
DATASET = {
    "dataset": (b"the dataset " * 1000, ".zip", "application/zip"),
    "poster": FILES["poster"],
    "thumb-still": FILES["thumb-still"],
    "poster-full": FILES["poster-full"],
}
WEB = {"web": (b"the web variant " * 100, ".mp4", "video/mp4")}


@pytest.fixture
def finished(storage: Storage, database: Database, doorbell: Doorbell, tmp_path: Path) -> Finish:
    """Finish a render as a worker does, with the files of its tier, of made-up bytes. Returns the bytes by kind."""

    def finish(render_id: str) -> dict[str, bytes]:
        with database.write() as db:
            render = db.get_one(Render, render_id)
            render_settings = parse(render.settings)
            files = (
                DATASET
                if render_settings.is_dataset
                else FILES | (WEB if TIERS[render_settings.quality].has_web else {})
            )
            for kind, (content, suffix, content_type) in files.items():
                source, key = tmp_path / "made-up", f"renders/{render_id}/1/{kind}{suffix}"
                source.write_bytes(content)
                storage.put(key, source)
                db.add(
                    Asset(render_id=render_id, kind=kind, storage_key=key, content_type=content_type, size=len(content))
                )
            drawn(db, render.shot, doorbell)
            for status in render_status.ORDER[1:]:
                render_status.advance(db, render, status)
        return {kind: content for kind, (content, *_) in files.items()}

    return finish

"""A video rendered in many chunks by two workers, and variants that share its frames."""

import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from farm.accounts import accounts
from farm.db.session import Database
from farm.db.tables import Asset, Chunk, Render, Segment
from tests.support.farms import Farm, farm_up
from tests.support.interruptions import failed_attempts, worker_paused
from tests.support.polling import until
from tests.support.prometheus import scraped, total, value


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm with two workers and chunks of one GOP each."""
    with farm_up(tmp_path_factory.mktemp("pair"), workers=2, FARM_ENGINE="cycles", FARM_CHUNK_SECONDS="0.001") as farm:
        yield farm


@pytest.fixture(scope="module")
def database(pair: Farm) -> Iterator[Database]:
    database = Database(f"sqlite:///{pair.data}/plinth.db")
    yield database
    database.close()


@pytest.fixture(scope="module")
def shared(pair: Farm) -> list[str]:
    """A batch of renders of a model that differ in their backgrounds and qualities alone."""
    model = pair.upload("draco.glb", '{"length": 3}')["modelId"]
    requests = [{"bgColor": colour, "length": 6} for colour in ("#ff0000", "#00ff00", "#0000ff")]
    renders = pair.order_batch(model, *requests)
    for render in renders:
        assert pair.wait_until_done(render)["progress"] == {"frames": 24, "of": 24}
    return renders


def test_gives_each_variant_all_frames_and_its_own_colour(pair: Farm, shared: list[str]) -> None:
    corners = []
    for render in shared:
        with av.open(io.BytesIO(pair.download(render, "video")), mode="r") as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(pictures) == 24
        assert all(np.abs(a.astype(int) - b).max() > 20 for a, b in itertools.pairwise(pictures))
        corners.append(tuple(np.rint(pictures[0][0, 0] / 255).astype(int)))
    assert corners == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_renders_each_frame_once_on_both_workers(pair: Farm, shared: list[str], database: Database) -> None:
    with database.read() as db:
        shot = db.get_one(Render, shared[0]).shot
        assert {db.get_one(Render, render).shot_id for render in shared} == {shot.id}
        drawn = [chunk for chunk in shot.chunks if chunk.kind == "draw"]
    assert [(chunk.first_frame, chunk.frames) for chunk in drawn] == [(first, 4) for first in range(0, 24, 4)]
    assert len({chunk.worker for chunk in drawn}) == 2
    assert len(pair.workers()) == 2


def test_removes_segments_once_the_videos_are_stored(pair: Farm, shared: list[str], database: Database) -> None:
    with database.read() as db:
        assert list(db.scalars(select(Segment))) == []
    files = sorted(path.name for render in shared for path in (pair.data / "files/renders" / render).rglob("*.*"))
    assert files == sorted(3 * ["video.mp4", "thumb.mp4", "thumb.jpg", "poster.png", "poster-small.png"])


def test_does_not_render_the_same_shot_again(pair: Farm, shared: list[str], database: Database) -> None:
    model = pair.render(shared[0])["modelId"]
    render = pair.order(model, bgColor="#ffffff", length=6)
    pair.wait_until_done(render)
    with database.read() as db:
        chunks = db.scalars(select(Chunk).where(Chunk.shot_id == db.get_one(Render, render).shot_id)).all()
        assert [chunk.seconds for chunk in chunks] == [None] * len(chunks), "frames were rendered again"


def test_shows_the_end_of_an_entrance_as_its_poster_early(pair: Farm, shared: list[str], database: Database) -> None:
    model = pair.render(shared[0])["modelId"]
    render = pair.order(model, effect="reveal", length=6, bgColor="#ffffff")
    pair.wait(render, "video-processing")
    poster = np.asarray(Image.open(io.BytesIO(pair.download(render, "poster?quality=full")))).astype(int)
    with database.read() as db:
        shot = db.get_one(Render, render).shot
        [first] = [chunk for chunk in shot.chunks if chunk.kind == "draw" and chunk.first_frame == 0]
        [key] = db.scalars(select(Asset.storage_key).where(Asset.render_id == render, Asset.kind == "poster"))
        assert first.id in key, "the first chunk draws it, not the last"
    assert pair.wait_until_done(render)["progress"] == {"frames": 24, "of": 24}
    with av.open(io.BytesIO(pair.download(render, "video")), mode="r") as container:
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    differences = [np.abs(picture - poster).mean() for picture in pictures]
    assert differences[-1] < min(differences) + 0.2, "the last frames of a soft landing are alike"
    assert differences[-1] < differences[18]
    assert (poster < 200).any()
    assert (pictures[0] < 240).any(), "the first frame is empty"


def test_counts_frames_and_rendering_time_in_metrics(pair: Farm, shared: list[str], database: Database) -> None:
    with database.write() as db:
        account = accounts.create(db, "root@example.com", admin=True, credits_=0)
        headers = {"Authorization": f"Bearer {accounts.create_key(db, account, scopes=['account:read'])}"}
    with httpx.Client(base_url=pair.client.base_url, headers=headers) as prometheus:
        samples = scraped(prometheus)
    drawn = total(samples, "plinth_frames_total", tier="share", engine="cycles", source="drawn")
    took = total(samples, "plinth_drawing_seconds_total", tier="share", engine="cycles")
    recent = value(samples, "plinth_frame_seconds", tier="share")
    assert drawn
    assert took
    assert recent
    assert drawn >= pair.render(shared[0])["progress"]["frames"]
    assert 0.2 < recent / (took / drawn) < 5, "recent chunks differ from all chunks"


def test_fails_only_the_render_whose_background_is_broken(pair: Farm, tmp_path: Path) -> None:
    picture = tmp_path / "sky.png"
    Image.new("RGB", (64, 36), (1, 2, 3)).save(picture)
    answer = pair.client.post("/v1/overlays", files={"file": picture.open("rb")}, data={"layer": "background"})
    overlay = answer.json()["data"]["id"]
    stored = [path for path in (pair.data / "files/overlays").rglob("*") if path.is_file()]
    for path in stored:
        path.write_bytes(b"not a picture")
    model = pair.upload("embedded.gltf", '{"length": 3}')["modelId"]
    renders = pair.order_batch(model, {"length": 4}, {"length": 4, "bgImageId": overlay})
    good, bad = (pair.wait(render) for render in renders)
    assert good["status"] == "done"
    assert bad["status"] == "error"
    assert "background picture cannot be read" in bad["errorMessage"]


def test_deletes_one_variant_and_completes_the_others(pair: Farm, shared: list[str]) -> None:
    model = pair.render(shared[0])["modelId"]
    requests = [{"bgColor": colour, "length": 6, "rotateY": 90} for colour in ("#ff0000", "#00ff00")]
    gone, kept = pair.order_batch(model, *requests)
    with worker_paused(pair):
        assert pair.client.delete(f"/v1/renders/{gone}").status_code == 200
    finished = pair.wait(kept)
    assert (finished["status"], finished["progress"]) == ("done", {"frames": 24, "of": 24})
    assert failed_attempts(pair, kept) == 0
    until(lambda: (pair.data / "files/renders" / gone).exists(), lambda exists: not exists)

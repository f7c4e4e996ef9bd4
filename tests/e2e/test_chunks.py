"""A video drawn in many chunks by two workers, and variants that share what was drawn."""

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
from farm.db.tables import Chunk, Render, Segment
from tests.support.farms import Farm, farm_up
from tests.support.interruptions import failed_attempts, worker_paused
from tests.support.polling import until
from tests.support.prometheus import scraped, value


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
    items = [{"modelId": model, "renderSettings": render_settings} for render_settings in requests]
    answer = pair.client.post("/v1/renders/batch", json={"renders": items})
    assert answer.status_code == 201, answer.text
    renders = [str(render["id"]) for render in answer.json()["data"]]
    for render in renders:
        finished = pair.wait(render)
        assert finished["status"] == "done", finished["errorMessage"]
        assert finished["progress"] == {"frames": 24, "of": 24}
    return renders


def test_each_variant_is_whole_and_its_own(pair: Farm, shared: list[str]) -> None:
    corners = []
    for render in shared:
        with av.open(io.BytesIO(pair.download(render, "video")), mode="r") as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(pictures) == 24
        assert all(np.abs(a.astype(int) - b).max() > 20 for a, b in itertools.pairwise(pictures))
        corners.append(tuple(np.rint(pictures[0][0, 0] / 255).astype(int)))
    assert corners == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_both_workers_drew_and_every_frame_was_drawn_once(pair: Farm, shared: list[str], database: Database) -> None:
    with database.read() as db:
        shot = db.get_one(Render, shared[0]).shot
        assert {db.get_one(Render, render).shot_id for render in shared} == {shot.id}
        drawn = [chunk for chunk in shot.chunks if chunk.kind == "draw"]
    assert [(chunk.first_frame, chunk.frames) for chunk in drawn] == [(first, 4) for first in range(0, 24, 4)]
    assert len({chunk.worker for chunk in drawn}) == 2
    assert len(pair.workers()) == 2


def test_segments_are_gone_once_the_videos_are_there(pair: Farm, shared: list[str], database: Database) -> None:
    with database.read() as db:
        assert list(db.scalars(select(Segment))) == []
    files = sorted(path.name for render in shared for path in (pair.data / "files/renders" / render).rglob("*.*"))
    assert files == sorted(3 * ["video.mp4", "thumb.mp4", "poster.png", "poster-small.png"])


def test_the_same_shot_later_is_not_drawn_again(pair: Farm, shared: list[str], database: Database) -> None:
    model = pair.render(shared[0])["modelId"]
    body = {"modelId": model, "renderSettings": {"bgColor": "#ffffff", "length": 6}}
    render = str(pair.client.post("/v1/renders", json=body).json()["data"]["id"])
    assert pair.wait(render)["status"] == "done"
    with database.read() as db:
        chunks = db.scalars(select(Chunk).where(Chunk.shot_id == db.get_one(Render, render).shot_id)).all()
        assert [chunk.seconds for chunk in chunks] == [None] * len(chunks), "nothing was drawn that could be measured"


def test_metrics_tell_how_much_was_drawn_and_how_fast(pair: Farm, shared: list[str], database: Database) -> None:
    with database.write() as db:
        account = accounts.create(db, "root@example.com", admin=True, credits_=0)
        headers = {"Authorization": f"Bearer {accounts.create_key(db, account, scopes=['account:read'])}"}
    with httpx.Client(base_url=pair.client.base_url, headers=headers) as prometheus:
        seen = scraped(prometheus)
    drawn = value(seen, "plinth_frames_total", tier="share", engine="cycles", source="drawn")
    took = value(seen, "plinth_drawing_seconds_total", tier="share", engine="cycles")
    lately = value(seen, "plinth_frame_seconds", tier="share")
    assert drawn
    assert took
    assert lately
    assert drawn >= pair.render(shared[0])["progress"]["frames"]
    assert 0.2 < lately / (took / drawn) < 5, "the last chunks were much like all"


def test_a_background_that_cannot_be_read_ends_its_own_render_alone(pair: Farm, tmp_path: Path) -> None:
    picture = tmp_path / "sky.png"
    Image.new("RGB", (64, 36), (1, 2, 3)).save(picture)
    answer = pair.client.post("/v1/overlays", files={"file": picture.open("rb")}, data={"layer": "background"})
    overlay = answer.json()["data"]["id"]
    stored = [path for path in (pair.data / "files/overlays").rglob("*") if path.is_file()]
    for path in stored:
        path.write_bytes(b"no picture any more")
    model = pair.upload("embedded.gltf", '{"length": 3}')["modelId"]
    items = [
        {"modelId": model, "renderSettings": {"length": 4}},
        {"modelId": model, "renderSettings": {"length": 4, "bgImageId": overlay}},
    ]
    renders = [each["id"] for each in pair.client.post("/v1/renders/batch", json={"renders": items}).json()["data"]]
    good, bad = (pair.wait(render) for render in renders)
    assert good["status"] == "done"
    assert bad["status"] == "error"
    assert "background picture cannot be read" in bad["errorMessage"]


def test_one_that_is_deleted_while_it_is_drawn_takes_its_parts_along_and_leaves_the_others_whole(
    pair: Farm, shared: list[str]
) -> None:
    model = pair.render(shared[0])["modelId"]
    requests = [{"bgColor": colour, "length": 6, "rotateY": 90} for colour in ("#ff0000", "#00ff00")]
    items = [{"modelId": model, "renderSettings": render_settings} for render_settings in requests]
    gone, kept = (each["id"] for each in pair.client.post("/v1/renders/batch", json={"renders": items}).json()["data"])
    with worker_paused(pair):
        assert pair.client.delete(f"/v1/renders/{gone}").status_code == 200
    finished = pair.wait(kept)
    assert (finished["status"], finished["progress"]) == ("done", {"frames": 24, "of": 24})
    assert failed_attempts(pair, kept) == 0
    until(lambda: (pair.data / "files/renders" / gone).exists(), lambda there: not there)

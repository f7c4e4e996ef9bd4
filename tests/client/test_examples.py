"""The examples of the Python client in the docs, run against the real API."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from farm.db.session import Database
from farm.db.tables import Render
from tests.support.clients import Client
from tests.support.finished_renders import FILES, Finish
from tests.support.glb import glb

ROOT = Path(__file__).parents[2]
PAGES = ("docs/client.md", "clients/python/README.md")
EXAMPLES = [
    pytest.param(example, id=f"{page}-{number}")
    for page in PAGES
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL))
]


@pytest.fixture
def finishing(database: Database, finished: Finish) -> Iterator[None]:
    """What a worker does: it finishes each render that a client has ordered."""
    ended = threading.Event()

    def finish_all() -> None:
        while not ended.wait(0.05):
            with database.read() as db:
                pending = db.scalars(select(Render.id).where(Render.status == "pending", ~Render.is_system_preview))
                found = list(pending)
            for render_id in found:
                finished(render_id)

    worker = threading.Thread(target=finish_all)
    worker.start()
    yield
    ended.set()
    worker.join()


@pytest.mark.usefixtures("finishing")
@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_save_videos(
    example: str, url: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chair.glb").write_bytes(glb(b"chair"))
    Path("table.glb").write_bytes(glb(b"table"))
    exec(example.replace("http://127.0.0.1:8000", url).replace("dxgl_sk_...", client.key), {})
    videos = list(tmp_path.glob("*.mp4"))
    assert len(videos) == len(re.findall(r"models\.upload", example))
    assert all(video.read_bytes() == FILES["video"][0] for video in videos)


def test_both_pages_show_both_clients() -> None:
    assert len(EXAMPLES) == 2 * len(PAGES)

"""What only the asynchronous client does: several calls at a time. The other tests run with both clients."""

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plinth_client import AsyncPlinth
from tests.support.clients import Client
from tests.support.finished_renders import FILES, Finish
from tests.support.glb import glb

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "clients" / "make_synchronous.py"


@pytest.fixture
def turnstile() -> Iterator[str]:
    """The URL of a server that responds to no call before three are there."""
    barrier = threading.Barrier(3)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            barrier.wait(timeout=30)
            body = b'{"data": {"status": "ok"}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class TestAsyncPlinth:
    def test_has_several_calls_at_a_time(self, turnstile: str) -> None:
        async def calls() -> list[str]:
            async with AsyncPlinth(turnstile) as plinth:
                return [health.status for health in await asyncio.gather(*(plinth.health() for _ in range(3)))]

        assert asyncio.run(calls()) == ["ok"] * 3

    def test_uploads_and_downloads_several_files_at_a_time(
        self, url: str, client: Client, finished: Finish, tmp_path: Path
    ) -> None:
        for number in range(3):
            (tmp_path / f"{number}.glb").write_bytes(glb(bytes([number]) * 200_000))

        async def calls() -> list[Path]:
            async with AsyncPlinth(url, client.key) as plinth:
                models = await asyncio.gather(*(plinth.models.upload(tmp_path / f"{n}.glb") for n in range(3)))
                for model in models:
                    finished(model.render_id)
                renders = await plinth.renders.wait_all([model.render_id for model in models])
                return await asyncio.gather(
                    *(plinth.renders.download_video(render.id, tmp_path / f"{render.id}.mp4") for render in renders)
                )

        assert [path.read_bytes() for path in asyncio.run(calls())] == [FILES["video"][0]] * 3

    def test_keeps_what_a_cancelled_download_has_received(
        self, url: str, client: Client, chair: Path, finished: Finish, tmp_path: Path
    ) -> None:
        async def calls() -> Path:
            async with AsyncPlinth(url, client.key) as plinth:
                render_id = (await plinth.models.upload(chair)).render_id
                finished(render_id)

                def cancel(*_: int | None) -> None:
                    download.cancel()

                download = asyncio.create_task(
                    plinth.renders.download_video(render_id, tmp_path / "v.mp4", on_progress=cancel)
                )
                with pytest.raises(asyncio.CancelledError):
                    await download
                assert not (tmp_path / "v.mp4").exists()
                return await plinth.renders.download_video(render_id, tmp_path / "v.mp4")

        assert asyncio.run(calls()).read_bytes() == FILES["video"][0]


class TestSynchronousFiles:
    def test_are_made_of_the_asynchronous_ones(self) -> None:
        """After a change: python clients/make_synchronous.py"""
        assert stale_files(GENERATOR) == ""

    def test_are_named_if_they_are_not_current(self, tmp_path: Path) -> None:
        clients = tmp_path / "clients"
        shutil.copytree(GENERATOR.parent, clients, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        with (clients / "python/plinth_client/synchronous/renders.py").open("a") as file:
            file.write("# by hand")
        (clients / "python/plinth_client/synchronous/models.py").unlink()
        assert stale_files(clients / GENERATOR.name) == "models.py, renders.py"


def stale_files(generator: Path) -> str:
    return subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True).stderr.strip()

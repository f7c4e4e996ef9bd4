"""A farm of several machines: programs that share only PostgreSQL, a Redis with a password, and S3."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from farm.processes import exit_codes
from farm.settings import Settings
from tests.support import redis_server, s3
from tests.support.farms import SMALL, Farm, is_healthy
from tests.support.polling import until
from tests.support.processes import FARM, command_line, free_port


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
def redis_with_password(tmp_path: Path) -> Iterator[str]:
    """A Redis server on TCP, configured as in the operators' documentation."""
    port = str(free_port())
    options = ("--bind", "127.0.0.1", "--port", port, "--requirepass", "secret")
    with redis_server.serving(f"redis://:secret@127.0.0.1:{port}/0", tmp_path, *options) as url:
        yield url


def test_makes_a_video_without_a_shared_disk(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_with_password: str, s3_door: s3.Door
) -> None:
    folder = tmp_path_factory.mktemp("apart")
    addresses = {"FARM_DATABASE_URL": database_url, "FARM_REDIS_URL": redis_with_password, "FARM_ENGINE": "cycles"}
    shared = os.environ | SMALL | s3.environment(s3_door.settings) | addresses

    def machine(name: str) -> dict[str, str]:
        """The environment of a program on a machine of its own."""
        (folder / name).mkdir()
        return shared | {"FARM_DATA": f"{folder / name}", "FARM_SCRATCH": f"{folder / name}"}

    def farm(*arguments: str) -> str:
        done = subprocess.run([FARM, *arguments], env=operator, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    operator = machine("operator")
    farm("db", "upgrade")
    farm("accounts", "create", "tester@localhost")
    headers = {"Authorization": f"Bearer {farm('keys', 'create', 'tester@localhost')}"}
    port = free_port()
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60))
        programs = []
        for arguments in (["serve", "--port", str(port)], ["reaper"], ["worker", "--name", "far-away"]):
            programs.append(stack.enter_context(subprocess.Popen([FARM, *arguments], env=machine(arguments[0]))))
            stack.callback(programs[-1].kill)
        until(lambda: is_healthy(client), bool)
        running = Farm(programs[0], client, Settings(data=folder / "serve", scratch=folder / "serve"))

        upload = running.upload("walker.glb", '{"length": 3}')
        render = running.wait_until_done(upload["renderId"])
        running.wait_until_done(running.preview_of(upload["modelId"])["id"])
        video = client.get(f"/v1/renders/{render['id']}/video").content
        assert (len(video), video[4:8]) == (render["fileSize"], b"ftyp")
        assert "far-away" in farm("nodes", "list")
        assert "far-away" in farm("logs", render["id"])

        family = [child for program in programs for child in psutil.Process(program.pid).children(recursive=True)]
        assert any("farm.blender.host" in command_line(child) for child in family)
        for program in programs:
            program.send_signal(signal.SIGTERM)
        api, reaper, worker = [program.wait(60) for program in programs]
        assert (api, reaper, worker) == (-signal.SIGTERM, 0, exit_codes.STOPPED)  # uvicorn passes its signal on
        assert not psutil.wait_procs(family, timeout=10)[1], "a program left child processes"
    assert not list(folder.glob("*/files")), "a file was stored on a machine's own disk"

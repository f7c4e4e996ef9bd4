"""Example programs of the API's contract run unchanged: only host, key, ids and files are substituted."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import av
import pytest

from tests.support.assets import ASSETS
from tests.support.farms import Farm

CONTRACT = Path(__file__).parent / "contract"
MODEL, RENDER = "Ab3kF9x2qL1m", "Xz7pQ4w8nR2k"  # ids in the examples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with the files that the examples upload."""
    shutil.copy(ASSETS / "product.glb", tmp_path / "chair.glb")
    shutil.copy(ASSETS / "scan.zip", tmp_path / "artec-scan.zip")
    return tmp_path


def installed(program: str) -> str:
    """The path of a program that examples need."""
    path = shutil.which(program)
    assert path, f"{program} is not installed, and `make test` could not install it: apt-get install curl nodejs"
    return path


def example(name: str, farm: Farm) -> str:
    text = (CONTRACT / name).read_text()
    key = farm.client.headers["Authorization"].removeprefix("Bearer ")
    return text.replace("https://plinth.example", str(farm.client.base_url).rstrip("/")).replace("dxgl_sk_...", key)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)


def frames(video: bytes) -> int:
    with av.open(io.BytesIO(video), mode="r") as container:
        return sum(1 for _ in container.decode(video=0))


def test_runs_the_curl_example(farm: Farm, folder: Path) -> None:
    installed("curl")
    commands = example("quick_start.sh", farm).split("\n\n")
    ids: dict[str, str] = {}

    def send(command: str) -> str:
        for placeholder, real in ids.items():
            command = command.replace(placeholder, real)
        sent = run(["sh", "-c", command], folder)
        assert sent.returncode == 0, sent.stderr
        return sent.stdout

    upload, scan, in_4k, in_pro, look, video, bundle = commands
    uploaded = json.loads(send(upload))["data"]
    ids |= {MODEL: uploaded["modelId"], RENDER: uploaded["renderId"]}
    scanned = json.loads(send(scan))["data"]
    assert farm.client.get(f"/v1/models/{scanned['modelId']}/file").content[:4] == b"glTF"
    for order, quality in ((in_4k, "4k"), (in_pro, "pro")):
        ordered = json.loads(send(order))["data"]
        assert (ordered["modelId"], ordered["renderSettings"]["quality"]) == (uploaded["modelId"], quality)
        farm.client.delete(f"/v1/renders/{ordered['id']}")  # other tests render these
    farm.client.delete(f"/v1/renders/{scanned['renderId']}")
    farm.wait_until_done(uploaded["renderId"])
    assert json.loads(send(look))["data"]["status"] == "done"
    send(video)
    assert frames((folder / "chair.mp4").read_bytes()) == 6 * 4
    send(bundle)
    with zipfile.ZipFile(folder / "chair.zip") as files:
        assert files.testzip() is None
        assert files.read("video.mp4") == (folder / "chair.mp4").read_bytes()


def test_runs_the_python_example(farm: Farm, folder: Path) -> None:
    (folder / "example.py").write_text(example("python_example.py", farm))
    ended = run([sys.executable, "example.py"], folder)
    assert ended.returncode == 0, ended.stderr
    assert frames((folder / "chair.mp4").read_bytes()) == 6 * 4


class TestNode:
    def test_runs_the_example_with_forms_that_accept_streams(self, farm: Farm, folder: Path) -> None:
        ended = self._run(farm, folder, "node_require.cjs", "node_streams_in_forms.cjs")
        assert ended.returncode == 0, ended.stderr
        assert frames((folder / "chair.mp4").read_bytes()) == 6 * 4

    def test_explains_the_error_of_forms_without_streams(self, farm: Farm, folder: Path) -> None:
        """Node's own FormData has no way to send a stream, so no server can make this work."""
        ended = self._run(farm, folder, "node_require.cjs", "node_show_answers.cjs")
        assert ended.returncode == 1
        error = json.loads(ended.stdout)["error"]
        assert (error["code"], error["status"]) == ("no_file", 400)
        assert "a Blob and not a stream" in error["message"]

    def _run(self, farm: Farm, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
        (folder / "example.mjs").write_text(example("node_example.mjs", farm))
        requires = [option for file in before for option in ("--require", str(CONTRACT / file))]
        return run([installed("node"), *requires, "example.mjs"], folder)

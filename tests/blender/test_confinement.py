"""The Blender host inside its sandbox: what it draws, what it can reach, and what it leaves behind."""

import base64
import io
import json
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from camera_paths import Pose
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.blender.inputs import staged
from farm.errors import BadTemplate, BlenderCrashed, ModelTooLarge
from farm.processes import memory
from farm.processes.sandbox import Isolation, Limits
from farm.scene.shot import Engine
from farm.settings import Settings
from farm.worker import node_check
from farm.worker.context import WorkerContext
from tests.blender.models import box, glb
from tests.support.blender import TIMEOUT_SECONDS, InsideBlender, draw_frames, process_of, shot
from tests.support.glb import binary_chunk, container, json_chunk
from tests.support.polling import until

CANARY = "Canary8d1f"
needs_isolation = pytest.mark.skipif(not Isolation.is_supported(), reason="this kernel has no Landlock or no seccomp")


@contextmanager
def answering(folder: Path, answer: dict[str, Any]) -> Iterator[Path]:
    """The path of a socket on which one request gets this answer."""
    path = folder / "false.sock"
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor() as pool:
        server.bind(str(path))
        server.listen()

        def respond() -> None:
            client, _ = server.accept()
            with client:
                client.recv(10_000)
                client.sendall(json.dumps(answer).encode() + b"\n")

        answered = pool.submit(respond)
        yield path
        answered.result()


class TestPictures:
    @needs_isolation
    @pytest.mark.parametrize("engine", ["cycles", "eevee"])
    def test_are_the_same_in_each_tier(self, tmp_path: Path, engine: Engine) -> None:
        drawn = []
        for confined_by in (Limits(), Isolation()):
            with BlenderHost(tmp_path, confined_by=confined_by) as host:
                drawn += draw_frames(host, shot("product.glb", engine=engine, samples=4, shadows=True), 30.0)
        first, second = drawn
        assert np.array_equal(first.whole, second.whole)
        assert first.whole[..., 3].any()


class TestHost:
    def test_does_not_know_the_farms_secrets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("FARM_DATABASE_URL", "FARM_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "canary")
        with BlenderHost(tmp_path) as host:
            environment = process_of(host).environ()
        assert not [name for name in environment if name.startswith(("FARM_", "AWS_"))]
        assert "canary" not in environment.values()
        assert environment["HOME"].startswith(str(tmp_path))

    @needs_isolation
    def test_reads_no_file_but_copies_of_its_input(self, host: BlenderHost, tmp_path: Path) -> None:
        """Also if a request names one."""
        other = tmp_path / "of-another-tenant.blend"
        other.write_bytes(b"BLENDER")
        host.ensure_ready()
        with (
            Blender(host.socket_path, TIMEOUT_SECONDS) as blender,
            pytest.raises(BadTemplate, match="Permission denied"),
        ):
            blender._call("check", template=str(other))

    @needs_isolation
    def test_is_under_a_seccomp_filter(self, host: BlenderHost) -> None:
        host.ensure_ready()
        lines = Path(f"/proc/{host.pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert int(Path(f"/proc/{host.pid}/oom_score_adj").read_text()) > 0


class TestFiles:
    def test_are_all_in_its_folder_and_removed_with_it(self, tmp_path: Path) -> None:
        """Each Blender makes a folder for temporary files, which a killed one cannot remove."""
        shared = Path(tempfile.gettempdir())
        host = BlenderHost(tmp_path)
        host.start()
        draw_frames(host, shot("draco.glb"), 0.0)
        made = [path.name for path in (host.own_folder / "tmp").iterdir()]
        assert any(name.startswith("blender_") for name in made)
        host.kill()
        host.start()
        assert not set(made) & {path.name for path in (host.own_folder / "tmp").iterdir()}, "of the host before"
        host.stop()
        assert [path.name for path in tmp_path.iterdir()] == ["blender.log"]
        assert not [path for path in shared.glob("blender_*") if path.name in made]

    def test_of_the_input_are_copied_again_when_they_change(self, tmp_path: Path) -> None:
        source, folder = tmp_path / "model.glb", tmp_path / "input"
        source.write_bytes(b"first")
        first = staged(source, folder)
        assert staged(source, folder) == first
        source.write_bytes(b"second")
        second = staged(source, folder)
        assert second != first
        assert (second.read_bytes(), second.name) == (b"second", "model.glb")
        assert not first.exists()

    @pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "{folder}/../secret"])
    def test_of_others_are_not_taken_from_its_answer(self, tmp_path: Path, path: str) -> None:
        """A host that a model has taken over would have the farm put any file into the video."""
        layer = {"path": path.format(folder=tmp_path), "x": 0, "y": 0, "width": 1, "height": 1}
        answer = {"number": 0, "bits": 8, "subject": layer, "reflection": None, "shadow": None, "ground_to_pixel": []}
        with (
            answering(tmp_path, {"ok": answer}) as server,
            Blender(server, TIMEOUT_SECONDS) as blender,
            pytest.raises(BlenderCrashed, match="not its own"),
        ):
            next(blender.frames([(0, Pose(0.0))]))


class TestMemory:
    def test_ends_a_host_that_holds_too_much_while_it_draws(self, own_host: BlenderHost) -> None:
        process = process_of(own_host)
        limit = process.memory_info().rss + 150 * 1024**2
        large = shot("product.glb", size=(4096, 4096))  # of which one picture takes more than that
        with Blender(own_host.socket_path, TIMEOUT_SECONDS, limit) as blender:
            blender.open_shot(large)
            with pytest.raises(ModelTooLarge, match=r"more than the 0\.\d GB of memory"):
                list(blender.frames([(0, Pose(0.0))]))
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
        own_host.ensure_ready()
        assert len(draw_frames(own_host, shot("draco.glb"), 0.0)) == 1

    def test_is_limited_while_a_node_is_checked(
        self, own_host: BlenderHost, settings: Settings, tmp_path: Path
    ) -> None:
        small = settings.model_copy(update={"blender_bytes": process_of(own_host).memory_info().rss // 4})
        context = WorkerContext("w", small, "cycles", own_host.socket_path, tmp_path)
        with pytest.raises(ModelTooLarge):
            node_check.draw_known_model(context, tmp_path)

    def test_refuses_a_host_an_allocation_beyond_its_share(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Faster than any watch: the kernel does not grant it. Blender aborts then."""
        monkeypatch.setattr("farm.blender.host_process.MAX_MEMORY_SHARE", 600e6 / memory.of_machine())
        with (
            BlenderHost(tmp_path) as host,
            Blender(host.socket_path, TIMEOUT_SECONDS, 10**9) as blender,
        ):
            blender.open_shot(shot("product.glb", size=(6000, 6000)))
            with pytest.raises(ModelTooLarge):
                list(blender.frames([(0, Pose(0.0))]))


def canary_model(path: Path) -> Path:
    """A model whose names, texts and picture all carry the canary."""
    box_path = glb(path, box((-1, 0, -1), (1, 1, 1)), material={"name": f"{CANARY}-material"})
    data = box_path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + length])
    binary = data[28 + length :]
    document["asset"]["copyright"] = f"{CANARY}-copyright"
    document["scenes"][0]["name"] = f"{CANARY}-scene"
    document["scenes"][0]["extras"] = {"text": f"{CANARY}-extras"}
    document["nodes"][0]["name"] = f"{CANARY}-node"
    document["meshes"][0]["name"] = f"{CANARY}-mesh"
    picture = io.BytesIO()
    Image.new("RGB", (2, 2), (10, 200, 30)).save(picture, "PNG")
    address = f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"
    document["images"] = [{"name": f"{CANARY}-image", "uri": address}]
    document["textures"] = [{"source": 0}]
    document["materials"][0]["pbrMetallicRoughness"] = {"baseColorTexture": {"index": 0}}
    path.write_bytes(container(json_chunk(document), binary_chunk(binary)))
    return path


def traces_of_the_canary(canary: str, first: str, second: str, folder: str) -> tuple[list[str], list[str]]:
    """What is found of the canary in this Blender after its model, and after another model."""
    import bpy

    from farm.blender.host import Host

    host = Host(Path(folder))
    found = []
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for model in (first, second):
        setup = shot(model)
        host.open_shot(**setup.to_wire())
        host.draw_frame(0, azimuth=0.0, radius=1.0, scale=1.0)
        found.append(_traces(canary, Path(folder)))
    return found[0], found[1]


def _traces(canary: str, folder: Path) -> list[str]:
    import bpy

    found = []
    for kind in bpy.data.bl_rna.properties:
        if kind.type == "COLLECTION":
            for block in getattr(bpy.data, kind.identifier):
                texts = [block.name, getattr(block, "filepath", ""), *map(str, block.keys()), *map(str, block.values())]
                if isinstance(block, bpy.types.Text):
                    texts.append(block.as_string())
                found += [f"{kind.identifier}: {text}" for text in texts if canary in text]
    for owner in (bpy.context.preferences.filepaths, bpy.context.window_manager, bpy.context.scene.render):
        for name in owner.bl_rna.properties.keys():  # noqa: SIM118 - not a dict
            if canary in str(getattr(owner, name, "")):
                found.append(f"{type(owner).__name__}.{name}")
    files = [*folder.rglob("*"), *Path(bpy.app.tempdir).rglob("*")]
    for path in files:
        if canary in path.name or (path.is_file() and canary.encode() in path.read_bytes()):
            found.append(str(path))
    return found


class TestNextTenant:
    def test_finds_nothing_of_the_model_before(self, inside: InsideBlender, tmp_path: Path) -> None:
        first = canary_model(tmp_path / f"{CANARY}.glb")
        second = glb(tmp_path / "other.glb", box((-1, 0, -1), (1, 2, 1)))
        folder = tmp_path / "own"
        folder.mkdir()
        of_first, of_second = inside(traces_of_the_canary, CANARY, str(first), str(second), str(folder))
        assert {trace.split(":")[0] for trace in of_first} >= {"objects", "meshes", "materials", "images"}
        assert of_second == []

"""The Blender host: a process that owns Blender and renders on request over a Unix socket.

Run as `python -m farm.blender.host SOCKET FOLDER`. It serves one client at a time and keeps running between clients. A
request is a line of JSON, {"call": NAME, ...}; a response is {"ok": {...}} or {"error": {"code", "message"}}.
"""

import contextlib
import json
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import bpy
import numpy as np
import psutil

from camera_paths import Pose
from farm.blender import engines, frames, views
from farm.blender.template import examine
from farm.errors import BadModel, BadTemplate, is_disk_full
from farm.processes.unix_socket import short_path
from farm.scene.shot import ShotSetup

Opened = TypeVar("Opened", frames.OpenShot, views.OpenViews)


class Host:
    """The calls that a client can make. Arguments and results are plain data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: frames.OpenShot | views.OpenViews | None = None
        self.files: list[tuple[int, int] | None] = []  # identity of the open shot's files, by _file_stamp
        self.shots = 0

    def hello(self) -> dict[str, Any]:
        """Report the host's status; the response shows that the host is alive and idle."""
        memory = psutil.Process().memory_info().rss
        return {"version": bpy.app.version_string, "shots": self.shots, "memory": memory}

    def check(self, template: str) -> dict[str, Any]:
        """Check a .blend against the template contract: `violations` lists farm.templates.contract.Violation."""
        return {"violations": [asdict(violation) for violation in examine(Path(template))]}

    def open_shot(self, **shot: Any) -> dict[str, Any]:
        """Set the stage for a shot, and bake the ground's shadow if it has one; a shot that is open stays open."""
        self._open(ShotSetup(**shot), frames.OpenShot, frames.open_shot)
        return {}

    def draw_frame(self, frame: int, **pose: float) -> dict[str, Any]:
        """Draw one frame of the open shot at a camera_paths.Pose. Returns farm.scene.shot.Frame."""
        assert isinstance(self.opened, frames.OpenShot), "open_shot comes first"
        opened, self.opened = self.opened, None  # after an error the next shot gets a fresh stage
        drawn = asdict(frames.draw_frame(opened, frame, Pose(**pose), self.folder))
        self.opened = opened
        return drawn

    def open_views(self, **shot: Any) -> dict[str, Any]:
        """Set the stage for a dataset's shot; one that is open stays open. Returns farm.scene.drawn_view.Opened."""
        return asdict(self._open(ShotSetup(**shot), views.OpenViews, views.open_views).info)

    def draw_view(self, view: int, pose: list[list[float]]) -> dict[str, Any]:
        """Draw one view of the open dataset from a 4x4 camera pose. Returns farm.scene.drawn_view.DrawnView."""
        assert isinstance(self.opened, views.OpenViews), "open_views comes first"
        opened, self.opened = self.opened, None
        drawn = asdict(views.draw_view(opened, view, np.array(pose), self.folder))
        self.opened = opened
        return drawn

    def _open(self, shot: ShotSetup, kind: type[Opened], open_: Callable[[ShotSetup, Path], Opened]) -> Opened:
        """The open shot if it has this kind and setup and its files are unchanged, else a fresh stage."""
        files = [_file_stamp(path) for path in (shot.model_path, shot.template)]
        if isinstance(self.opened, kind) and self.opened.shot == shot and self.files == files:
            frames.remove_leftovers(self.folder)
            return self.opened
        self.opened, self.files = None, files
        self.shots += 1
        opened = open_(shot, self.folder)
        self.opened = opened
        return opened

    def gpu(self) -> dict[str, Any]:
        """EEVEE's OpenGL device. Without an OpenGL driver this ends the process."""
        import gpu

        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(scene.camera)
        engines.use_engine("eevee", 1)
        scene.render.resolution_x = scene.render.resolution_y = 16
        bpy.ops.render.render()  # gpu.platform has data only after a first frame
        return {
            "renderer": gpu.platform.renderer_get(),
            "vendor": gpu.platform.vendor_get(),
            "software": gpu.platform.device_type_get() == "SOFTWARE",
            "driver": gpu.platform.version_get(),
        }

    def cycles_gpus(self) -> dict[str, Any]:
        """The GPU that Cycles would draw on, by engine. A driver that crashes ends the process."""
        return {str(engine): name for engine, name in engines.cycles_gpus().items()}


def _file_stamp(path: str) -> tuple[int, int] | None:
    """Changes whenever the file does; None when there is no file, which `open_` then reports."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def main() -> None:
    path, folder = sys.argv[1:]
    host = Host(Path(folder))
    calls: dict[str, Callable[..., dict[str, Any]]] = {
        call.__name__: call
        for call in (
            host.hello,
            host.check,
            host.open_shot,
            host.draw_frame,
            host.open_views,
            host.draw_view,
            host.gpu,
            host.cycles_gpus,
        )
    }
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with socket.socket(socket.AF_UNIX) as server:
        with short_path(Path(path)) as address:
            server.bind(address)
        server.listen()
        while True:
            client, _ = server.accept()
            # A client may disconnect at any time. Closing `lines` then fails, too: it still holds the response.
            with client, contextlib.suppress(BrokenPipeError, ConnectionResetError), client.makefile("rwb") as lines:
                serve(lines, calls)


def serve(lines: Any, calls: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Serve one client until it disconnects."""
    for line in lines:
        request = json.loads(line)
        response = respond(calls[request.pop("call")], request)
        lines.write(json.dumps(response).encode() + b"\n")
        lines.flush()


def respond(call: Callable[..., dict[str, Any]], arguments: dict[str, Any]) -> dict[str, Any]:
    """Make a call and turn any exception into an error response, so that the host keeps running."""
    try:
        return {"ok": call(**arguments)}
    except BadModel as error:
        return {"error": {"code": "bad_model", "message": error.message}}
    except BadTemplate as error:
        return {"error": {"code": "bad_template", "message": error.message}}
    except MemoryError as error:
        return {"error": {"code": "no_memory", "message": str(error)}}
    except Exception as error:
        if is_disk_full(error):
            return {"error": {"code": "no_room", "message": str(error)}}
        with contextlib.suppress(OSError):  # the log's disk may be full
            traceback.print_exc()
        return {"error": {"code": "internal", "message": f"{type(error).__name__}: {error}"}}


if __name__ == "__main__":
    main()

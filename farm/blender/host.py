"""The Blender host: a process that owns Blender and draws what it is told over a Unix socket.

Run as `python -m farm.blender.host SOCKET FOLDER`. It serves one client at a time and stays warm between them. A
request is a line of JSON, {"call": NAME, ...}; so is the answer, {"ok": {...}} or {"error": {"code", "message"}}.
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
import psutil

from camera_paths import Pose
from farm.blender import engines, frames, views
from farm.blender.template import examine
from farm.errors import BadModel, BadTemplate, is_disk_full
from farm.scene.shot import ShotSetup
from farm.scene.views import Direction

Opened = TypeVar("Opened", frames.OpenShot, views.OpenViews)


class Host:
    """The calls a client can make. Plain data in, plain data out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: frames.OpenShot | views.OpenViews | None = None
        self.files: list[tuple[int, int] | None] = []  # tell one state of the open shot's files from the next
        self.shots = 0

    def hello(self) -> dict[str, Any]:
        """Answers at once: this is how one sees that the host is alive and idle."""
        memory = psutil.Process().memory_info().rss
        return {"version": bpy.app.version_string, "shots": self.shots, "memory": memory}

    def check(self, template: str) -> dict[str, Any]:
        """Look at a .blend as a template: `broken` lists farm.templates.contract.BrokenPromise."""
        return {"broken": [asdict(broken) for broken in examine(Path(template))]}

    def open_shot(self, **shot: Any) -> dict[str, Any]:
        """Set the stage for a shot, and bake the ground's shadow where one is wanted; an open shot stays open."""
        self._open(ShotSetup(**shot), frames.OpenShot, frames.open_shot)
        return {}

    def draw(self, frame: int, **pose: float) -> dict[str, Any]:
        """Draw one frame of the open shot at a camera_paths.Pose. Returns farm.scene.shot.Frame."""
        assert isinstance(self.opened, frames.OpenShot), "open_shot comes first"
        opened, self.opened = self.opened, None  # whatever goes wrong, the next shot begins on a fresh stage
        drawn = asdict(frames.draw_frame(opened, frame, Pose(**pose), self.folder))
        self.opened = opened
        return drawn

    def open_views(self, **shot: Any) -> dict[str, Any]:
        """Set the stage for a dataset's shot; an open one stays open. Returns farm.scene.drawn_view.Opened."""
        return asdict(self._open(ShotSetup(**shot), views.OpenViews, views.open_views).facts)

    def draw_view(self, view: int, **direction: float) -> dict[str, Any]:
        """Draw one view of the open dataset from a Direction. Returns farm.scene.drawn_view.DrawnView."""
        assert isinstance(self.opened, views.OpenViews), "open_views comes first"
        opened, self.opened = self.opened, None
        drawn = asdict(views.draw_view(opened, view, Direction(**direction), self.folder))
        self.opened = opened
        return drawn

    def _open(self, wanted: ShotSetup, kind: type[Opened], open_: Callable[[ShotSetup, Path], Opened]) -> Opened:
        """What is open, if it is of this kind and shot and its files are as they were; else a fresh stage."""
        files = [_stamp(path) for path in (wanted.model_path, wanted.template)]
        if isinstance(self.opened, kind) and self.opened.shot == wanted and self.files == files:
            frames.remove_leftovers(self.folder)
            return self.opened
        self.opened, self.files = None, files
        self.shots += 1
        opened = open_(wanted, self.folder)
        self.opened = opened
        return opened

    def gpu(self) -> dict[str, Any]:
        """Which device EEVEE draws on. Without any OpenGL driver this ends the process."""
        import gpu

        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(scene.camera)
        engines.use_engine("eevee", 1)
        scene.render.resolution_x = scene.render.resolution_y = 16
        bpy.ops.render.render()  # gpu.platform answers only after a first frame
        return {
            "renderer": gpu.platform.renderer_get(),
            "vendor": gpu.platform.vendor_get(),
            "software": gpu.platform.device_type_get() == "SOFTWARE",
        }


def _stamp(path: str) -> tuple[int, int] | None:
    """What tells one state of a file from the next; None where there is no file, for `open_` to say so."""
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
        for call in (host.hello, host.check, host.open_shot, host.draw, host.open_views, host.draw_view, host.gpu)
    }
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        while True:
            client, _ = door.accept()
            # A client may hang up at any time. Closing `lines` fails then, too: it still holds the answer.
            with client, contextlib.suppress(BrokenPipeError, ConnectionResetError), client.makefile("rwb") as lines:
                serve(lines, calls)


def serve(lines: Any, calls: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Answer one client until it hangs up."""
    for line in lines:
        request = json.loads(line)
        answer = respond(calls[request.pop("call")], request)
        lines.write(json.dumps(answer).encode() + b"\n")
        lines.flush()


def respond(call: Callable[..., dict[str, Any]], arguments: dict[str, Any]) -> dict[str, Any]:
    """Make a call; whatever goes wrong becomes an answer, and the host lives on."""
    try:
        return {"ok": call(**arguments)}
    except BadModel as error:
        return {"error": {"code": "bad_model", "message": error.message}}
    except BadTemplate as error:
        return {"error": {"code": "bad_template", "message": error.message}}
    except Exception as error:
        if is_disk_full(error):
            return {"error": {"code": "no_room", "message": str(error)}}
        with contextlib.suppress(OSError):  # the log may lie on a disk that is full
            traceback.print_exc()
        return {"error": {"code": "internal", "message": f"{type(error).__name__}: {error}"}}


if __name__ == "__main__":
    main()

"""Compares the farm with three.js in headless Chromium: the same model, camera path, size, frame count and H.264.

Prints one line of JSON, and writes a still of each beside each other. Both run on the processor, one after the other.
usage: (cd benchmarks/peers && npm install) && python -m benchmarks.peers.three_js [MODEL] [--frames N] [--still PNG]
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from benchmarks.share_render import SAMPLE, farm_seconds
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import RenderSettings
from farm.rendering.production import shot_setup
from farm.scene.shot import ShotSetup
from farm.settings import Settings
from farm.video.composite import Compositor
from farm.video.run import executable
from tests.support.tabs import chromium

PAGE = Path(__file__).parent
THREE = PAGE / "node_modules" / "three"
TYPES = {".html": "text/html", ".js": "text/javascript"}
SETTINGS = Settings(engine="cycles")

# The farm's own camera in every frame, and its placement of the model.
STAGE = """
import json, sys
import bpy
from farm.blender import stage
from farm.scene.camera import view
from farm.scene.shot import ShotSetup
shot, poses = json.loads(sys.argv[1])
found = stage.set_up(ShotSetup(**shot))
def rows(pose):
    seen = view(found.lens, *pose)
    return [[*axes, at] for axes, at in zip(seen.axes.tolist(), seen.position.tolist())] + [[0, 0, 0, 1]]
print("stage", json.dumps({
    "root": [list(row) for row in found.root_matrix],
    "poses": [rows(pose) for pose in poses],
    "pixels_per_unit": found.lens.pixels_per_unit,
}))
"""


@dataclass
class Peer:
    """The server that three.js draws for: `shot` tells it what, and each frame goes to the encoder."""

    model: Path
    shot: dict[str, Any]
    first: bytes = b""
    encoder: Any = None

    def take(self, pixels: bytes) -> None:
        self.first = self.first or pixels
        if self.encoder:
            self.encoder.stdin.write(pixels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--still", type=Path)
    arguments = parser.parse_args()
    request = RenderSettings()
    spec = replace(plan.shot("benchmark", request, SETTINGS), frames=arguments.frames)
    setup = shot_setup(spec, arguments.model.absolute(), "cycles")
    peer = Peer(arguments.model, staged(spec, setup))
    theirs = three_seconds(peer, spec)
    ours = farm_seconds(setup, spec, request, SETTINGS)
    if arguments.still:
        beside(ours_still(spec, setup), Image.frombytes("RGBA", (spec.width, spec.height), peer.first)).save(
            arguments.still
        )
    result = {
        "model": arguments.model.name,
        "size": f"{spec.width}x{spec.height}",
        "frames": arguments.frames,
        "farm seconds a frame": round(ours / arguments.frames, 3),
        "three.js seconds a frame": round(theirs / arguments.frames, 3),
        "farm to three.js": round(ours / theirs, 2),
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, no GPU used",
    }
    print(json.dumps(result, indent=2))


def staged(spec: ShotSpec, setup: ShotSetup) -> dict[str, Any]:
    """What the page draws: the size, the vertical field of view in degrees, and the matrices, z up."""
    poses = [[pose.azimuth, pose.radius] for pose in spec.poses()]
    work = json.dumps([asdict(setup), poses])
    done = subprocess.run([sys.executable, "-c", STAGE, work], capture_output=True, text=True, check=True)
    stage = json.loads(done.stdout.rsplit("stage ", 1)[1])
    fov = math.degrees(2 * math.atan(spec.height / 2 / stage.pop("pixels_per_unit")))
    return {"width": spec.width, "height": spec.height, "fov": fov, **stage}


def three_seconds(peer: Peer, spec: ShotSpec) -> float:
    """Seconds for all frames and their H.264, once Chromium is warm and has drawn a first frame."""
    with serving(peer) as url, chromium() as browser, TemporaryDirectory() as folder:
        page = browser.new_page()
        page.goto(f"{url}/page/three_js.html")
        page.wait_for_function("() => Boolean(window.drawFrames)")
        page.evaluate("poses => window.drawFrames(poses)", peer.shot["poses"][:1])
        began = time.monotonic()
        peer.encoder = subprocess.Popen(
            [
                *(executable(SETTINGS.ffmpeg), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgba"),
                *("-s", f"{spec.width}x{spec.height}", "-r", str(spec.fps), "-i", "-"),
                *("-c:v", "libx264", "-pix_fmt", "yuv420p", str(Path(folder) / "three.mp4")),
            ],
            stdin=subprocess.PIPE,
        )
        page.evaluate("poses => window.drawFrames(poses)", peer.shot["poses"])
        peer.encoder.stdin.close()
        peer.encoder.wait()
        return time.monotonic() - began


@contextmanager
def serving(peer: Peer) -> Iterator[str]:
    """The address of a server of the page, three.js, the model and the shot, which takes frames."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = found(peer, self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content or b"")

        def do_POST(self) -> None:
            peer.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def found(peer: Peer, path: str) -> tuple[str, bytes | None]:
    """The type and content of what the page asks for; None if there is no such file."""
    if path == "/shot":
        return "application/json", json.dumps(peer.shot).encode()
    if path == "/model":
        return "model/gltf-binary", peer.model.read_bytes()
    _, folder, name = path.split("/", 2) if path.count("/") > 1 else ("", "", path)
    file = {"page": PAGE, "three": THREE}.get(folder, PAGE) / name
    return TYPES.get(file.suffix, "text/plain"), file.read_bytes() if file.is_file() else None


def ours_still(spec: ShotSpec, setup: ShotSetup) -> Image.Image:
    """The farm's first frame, on white."""
    compositor = Compositor(Image.new("RGB", (spec.width, spec.height), "white"), vignette=0.0)
    with (
        TemporaryDirectory(dir=SETTINGS.scratch) as folder,
        BlenderHost(Path(folder)) as host,
        Blender(host.socket_path, SETTINGS.frame_timeout) as blender,
    ):
        blender.open_shot(setup)
        frames = blender.frames([(0, spec.poses()[0])])  # a frame's files live until the next one is asked for
        return Image.fromarray(compositor.over(next(frames)))


def beside(*stills: Image.Image) -> Image.Image:
    """The stills in one row."""
    row = Image.new("RGB", (sum(still.width for still in stills), stills[0].height))
    left = 0
    for still in stills:
        row.paste(still.convert("RGB"), (left, 0))
        left += still.width
    return row


if __name__ == "__main__":
    main()

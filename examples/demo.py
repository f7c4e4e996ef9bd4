"""The demo: starts a farm, uploads the sample model over HTTP, and writes out/demo.mp4 and out/poster.png.

Everything after `farm up` is the work of any client: upload, poll, download.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tests" / "assets" / "product.glb"
OUT = ROOT / "out"
SETTINGS = {"quality": "share", "length": 3}
FARM = Path(sys.executable).with_name("farm")


def main() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="plinth-demo-") as folder, farm(Path(folder)) as client:
        say(started, f"The farm is running at {client.base_url}")
        with MODEL.open("rb") as file:
            uploaded = data(client.post("models", files={"file": file}, data={"renderSettings": json.dumps(SETTINGS)}))
        say(started, f"Uploaded {MODEL.name} as model {uploaded['modelId']}")
        renders = data(client.get(f"models/{uploaded['modelId']}"))["renders"]
        preview = next(render["id"] for render in renders if render["is_system_preview"])
        follow(client, preview, "preview", started)
        say(started, "The system preview is done: the model is valid")
        follow(client, uploaded["renderId"], "render", started)
        OUT.mkdir(exist_ok=True)
        save(client, f"renders/{uploaded['renderId']}/video", OUT / "demo.mp4")
        save(client, f"renders/{uploaded['renderId']}/poster?quality=full", OUT / "poster.png")
        say(started, "Done: see out/demo.mp4 and out/poster.png")


@contextmanager
def farm(folder: Path) -> Iterator[httpx.Client]:
    """A client of a new farm in `folder`, which is stopped at the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for command in (["db", "upgrade"], ["accounts", "create", "demo@localhost"], ["keys", "create", "demo@localhost"]):
        created = subprocess.run([FARM, *command, "--data", folder], check=True, capture_output=True, text=True)
    key = created.stdout.strip()
    environment = os.environ | {"FARM_LOG_LEVEL": os.environ.get("FARM_LOG_LEVEL", "warning")}
    process = subprocess.Popen(
        [FARM, "up", "--port", str(port), "--data", folder], env=environment, start_new_session=True
    )
    try:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1/", headers=headers, timeout=60) as client:
            await_health(client, process)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def await_health(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if client.get("health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("The farm exited; its output is above. Run `make setup` and `farm doctor`.")


def follow(client: httpx.Client, render: str, label: str, started: float) -> None:
    """Wait until the render is done, and print every change of its status and its progress every 5 seconds."""
    status, last_printed = "", 0.0
    while status != "done":
        state = data(client.get(f"renders/{render}"))
        progress = f"{state['progress']['frames']}/{state['progress']['of']} frames"
        if state["status"] != status or time.monotonic() - last_printed > 5:
            say(started, f"{label}: {state['status']}, {progress}")
            last_printed = time.monotonic()
        status = state["status"]
        if status == "error":
            raise SystemExit(f"The {label} failed: {state['errorMessage']}")
        time.sleep(0.25)


def data(response: httpx.Response) -> Any:
    body = response.json()
    if response.is_error:
        raise SystemExit(f"{response.request.url}: {body['error']['message']}")
    return body["data"]


def save(client: httpx.Client, path: str, target: Path) -> None:
    with client.stream("GET", path) as response, target.open("wb") as file:
        response.raise_for_status()
        for block in response.iter_bytes():
            file.write(block)


def say(started: float, text: str) -> None:
    print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    main()

"""`farm logs`: the logs of a render, from all nodes that worked on it."""

from typing import Annotated

import typer

from farm.commands.shared import Data, console, fail, open_database
from farm.db import attempt_logs
from farm.db.tables import AttemptLog, Chunk, Render


def print_logs(render_id: Annotated[str, typer.Argument(metavar="RENDER")], data: Data = None) -> None:
    """Print the logs of all attempts at a render's chunks: those of the farm, of Blender and of ffmpeg."""
    with open_database(data) as database, database.read() as db:
        render = db.get(Render, render_id)
        if render is None:
            fail(f"There is no render {render_id}: it was deleted or never existed")
        why = f": {render.error_message}" if render.error_message else ""
        console.print(f"render {render.id} is {render.status}{why}", markup=False)
        for chunk, entries in attempt_logs.of_render(db, render):
            console.print(f"\n{chunk_line(chunk)}", style="bold", markup=False)
            for entry in entries:
                console.print(_attempt_line(entry), style="bold", markup=False)
                console.print(entry.text.rstrip(), markup=False)


def chunk_line(chunk: Chunk) -> str:
    """What a chunk is for, its state and its attempt."""
    title = "finish" if chunk.kind == "finish" else f"frames {chunk.first_frame} to {_last_frame(chunk)}"
    states = {"queued": "waiting", "running": f"running on {chunk.worker}, {chunk.frames_done} frames done"}
    return f"{title}: {states.get(chunk.state, chunk.state)}, attempt {chunk.attempt}"


def _last_frame(chunk: Chunk) -> int:
    return chunk.first_frame + chunk.frames - 1


def _attempt_line(entry: AttemptLog) -> str:
    return f"--- attempt {entry.attempt} on {entry.worker}, ended {entry.created_at:%Y-%m-%d %H:%M:%S} UTC"

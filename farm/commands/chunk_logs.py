"""`farm logs`: what was said while a render was made, on whichever node."""

from typing import Annotated

import typer

from farm.commands.shared import Data, console, fail, open_database
from farm.db import attempt_logs
from farm.db.tables import AttemptLog, Chunk, Render


def show(render_id: Annotated[str, typer.Argument(metavar="RENDER")], data: Data = None) -> None:
    """Show what every attempt at a render's chunks said: our own lines, ffmpeg's and Blender's, failed attempts too."""
    with open_database(data) as database, database.read() as db:
        render = db.get(Render, render_id)
        if render is None:
            fail(f"There is no render {render_id}: it was deleted, or never was")
        why = f": {render.error_message}" if render.error_message else ""
        console.print(f"render {render.id} is {render.status}{why}", markup=False)
        for chunk, said in attempt_logs.of_render(db, render):
            console.print(f"\n{_headline(chunk)}", style="bold", markup=False)
            for entry in said:
                console.print(_head(entry), style="bold", markup=False)
                console.print(entry.text.rstrip(), markup=False)


def _headline(chunk: Chunk) -> str:
    what = "finish" if chunk.kind == "finish" else f"frames {chunk.first_frame} to {_last(chunk)}"
    now = {"queued": "waits", "running": f"under way on {chunk.worker}, {chunk.frames_done} frames done"}
    return f"{what}: {now.get(chunk.state, chunk.state)}, attempt {chunk.attempt}"


def _last(chunk: Chunk) -> int:
    return chunk.first_frame + chunk.frames - 1


def _head(entry: AttemptLog) -> str:
    return f"--- attempt {entry.attempt} on {entry.worker}, ended {entry.created_at:%Y-%m-%d %H:%M:%S} UTC"

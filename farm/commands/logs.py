"""`farm logs`: all attempts at a render and their logs, from all nodes that worked on it."""

from typing import Any

from farm.commands.shared import Data, Json, RenderId, console, fail, open_database, optional_iso_time, print_json
from farm.db import attempt_logs
from farm.db.tables import AttemptLog, Chunk, Render

NO_LOG = "(no log: it is lost with the worker, or is not stored yet)"


def print_logs(render_id: RenderId, data: Data = None, as_json: Json = False) -> None:
    """Print all attempts at a render's chunks: node, how each ended, who noticed, and its log.

    A log has the lines of the farm, of Blender and of ffmpeg.
    """
    with open_database(data) as database, database.read() as db:
        render = db.get(Render, render_id)
        if render is None:
            fail(f"There is no render {render_id}: it was deleted or never existed")
        parts = attempt_logs.of_render(db, render, with_text=True)
        if as_json:
            print_json(_render_json(render, parts))
            return
        why = f": {render.error_message}" if render.error_message else ""
        console.print(f"render {render.id} is {render.status}{why}")
        for chunk, entries in parts:
            console.print(f"\n{chunk_line(chunk)}", style="bold")
            for entry in entries:
                console.print(_attempt_line(entry), style="bold")
                console.print(entry.text.rstrip() or NO_LOG)


def chunk_line(chunk: Chunk) -> str:
    """What a chunk is for, its state and its attempt."""
    title = "finish" if chunk.kind == "finish" else f"frames {chunk.first_frame} to {_last_frame(chunk)}"
    states = {"queued": "waiting", "running": f"running on {chunk.worker}, {chunk.frames_done} frames done"}
    return f"{title}: {states.get(chunk.state, chunk.state)}, attempt {chunk.attempt}"


def _last_frame(chunk: Chunk) -> int:
    return chunk.first_frame + chunk.frames - 1


def _attempt_line(entry: AttemptLog) -> str:
    line = f"--- attempt {entry.attempt} on {entry.worker}"
    if not entry.ended_at:
        return f"{line}, not ended"
    seconds = f" after {(entry.ended_at - entry.began_at).total_seconds():.0f} s" if entry.began_at else ""
    reason = f": {entry.reason}" if entry.reason else ""
    noticed = f"noticed by the {entry.noticed_by}"
    return f"{line}, {entry.outcome}{seconds}, {noticed}, {entry.ended_at:%Y-%m-%d %H:%M:%S} UTC{reason}"


def _render_json(render: Render, parts: list[tuple[Chunk, list[AttemptLog]]]) -> dict[str, Any]:
    """A render's attempts as `--json` prints them; times are ISO 8601 in UTC."""
    return {
        "render": render.id,
        "status": render.status,
        "errorMessage": render.error_message,
        "chunks": [
            {
                "chunk": chunk.id,
                "kind": chunk.kind,
                "firstFrame": chunk.first_frame,
                "frames": chunk.frames,
                "state": chunk.state,
                "node": chunk.worker,
                "attempt": chunk.attempt,
                "attempts": [_attempt_json(entry) for entry in entries],
            }
            for chunk, entries in parts
        ],
    }


def _attempt_json(entry: AttemptLog) -> dict[str, Any]:
    return {
        "attempt": entry.attempt,
        "node": entry.worker,
        "began": optional_iso_time(entry.began_at),
        "ended": optional_iso_time(entry.ended_at),
        "outcome": entry.outcome,
        "reason": entry.reason,
        "noticedBy": entry.noticed_by,
        "log": entry.text,
    }

"""`farm nodes`: list, drain, resume and forget nodes."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy.orm import Session

from farm.commands.shared import (
    Data,
    Json,
    console,
    fail,
    open_database,
    operator,
    optional_iso_time,
    print_json,
    print_rich,
    table_of,
)
from farm.db import clock, nodes
from farm.db.clock import MAX_CLOCK_OFFSET_SECONDS, ago
from farm.db.session import Database
from farm.db.tables import Chunk, Node
from farm.nodes import administration, registry

app = typer.Typer(no_args_is_help=True, help="The nodes that render.")

NAMES = typer.Argument(metavar="NAME", help="Names from `farm nodes list`.")
Names = Annotated[list[str], NAMES]
NO_NODE = "No node has joined yet. Start one with `farm worker`"
DRAINING = "is draining: it stops after its current chunk"
DRAINED = "is not running, and does not start again until it is resumed"
RESUMED_STOPPED = "may work again, and is not running: start it"
POLL_SECONDS = 1.0  # of --wait
COLOURS: dict[registry.State, str] = {
    "working": "green",
    "idle": "green",
    "checking": "yellow",
    "draining": "yellow",
    "drained": "dim",
    "quarantined": "red",
    "gone": "red",
}


@app.command("list")
def list_nodes(data: Data = None, as_json: Json = False) -> None:
    """List all nodes: state, current chunk, engine, versions, last heartbeat."""
    with open_database(data) as database, database.read() as db:
        at = clock.now(db)
        rows = [_node_json(node, chunk, at) for node, chunk in nodes.every(db)]
    if as_json:
        print_json(rows)
    elif rows:
        print_rich(_table(rows, at))
    else:
        console.print(NO_NODE)


@app.command()
def drain(
    names: Annotated[list[str] | None, NAMES] = None,
    every: Annotated[bool, typer.Option("--all", help="Drain all nodes.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they have stopped.")] = False,
    data: Data = None,
) -> None:
    """Let nodes finish their current chunk and stop. They do not start again until they are resumed."""
    if bool(names) == every:
        fail("Name the nodes to drain, or use --all")
    with open_database(data) as database:
        if every:
            with database.read() as db:
                names = [node.name for node, _ in nodes.every(db)]
            if not names:
                console.print(NO_NODE)
                return
        for name in names or []:
            with database.write() as db:
                node = administration.drain(db, name, operator())
                is_alive = nodes.is_alive(node, clock.now(db))
            console.print(f"{name} {DRAINING if is_alive else DRAINED}")
        while wait and (busy := _alive(database, names or [])):
            console.print(f"Waiting for {', '.join(busy)}")
            while _alive(database, names or []) == busy:
                time.sleep(POLL_SECONDS)
    if wait:
        console.print("All of them have stopped")


def _alive(database: Database, names: list[str]) -> list[str]:
    with database.read() as db:
        return [node.name for node in nodes.alive(db) if node.name in names]


@app.command()
def resume(names: Names, data: Data = None) -> None:
    """Let drained or quarantined nodes work again. A node that has stopped must be started, too."""
    _change_each(names, administration.resume, data, _resumed)


@app.command()
def forget(names: Names, data: Data = None) -> None:
    """Remove nodes that are gone from the list."""
    _change_each(names, administration.forget, data, lambda *_: "was removed")


def _resumed(db: Session, name: str) -> str:
    return "may work again" if nodes.is_alive(nodes.named(db, name), clock.now(db)) else RESUMED_STOPPED


def _change_each(
    names: list[str],
    change: Callable[[Session, str, str], object],
    data: Any,
    outcome: Callable[[Session, str], str],
) -> None:
    with open_database(data) as database:
        for name in names:
            with database.write() as db:
                change(db, name, operator())
                line = f"{name} {outcome(db, name)}"
            console.print(line)


def _node_json(node: Node, chunk: Chunk | None, at: datetime) -> dict[str, Any]:
    """A node as `--json` prints it; times are ISO 8601 in UTC, memory in bytes."""
    working_on = chunk and {
        "chunk": chunk.id,
        "kind": chunk.kind,
        "firstFrame": chunk.first_frame,
        "frames": chunk.frames,
        "framesDone": chunk.frames_done,
    }
    last = {"chunk": node.last_chunk_id, "frame": node.last_frame, "at": optional_iso_time(node.last_frame_at)}
    return {
        "name": node.name,
        "state": registry.state(node, chunk, at),
        "reason": node.quarantine_reason,
        "draws": node.draws,
        "workingOn": working_on,
        "lastFrame": last if node.last_frame_at else None,
        "host": node.host,
        "engine": node.engine,
        "measuredEngines": node.measured_engines,
        "gpu": node.gpu,
        "hasGpu": node.has_gpu,
        "memory": node.memory,
        "sandbox": node.sandbox,
        "tags": node.tags,
        "versions": {"plinth": node.plinth_version, "bpy": node.bpy_version, "database": node.database_version},
        "started": optional_iso_time(node.started_at),
        "seen": optional_iso_time(node.seen_at),
        "clockOffset": round(node.clock_offset, 1),
    }


def _table(rows: list[dict[str, Any]], at: datetime) -> Table:
    table = table_of(
        (
            "NAME",
            "STATE",
            "WORKS ON",
            "LAST FRAME",
            "DRAWS WITH",
            "MEMORY",
            "SANDBOX",
            "VERSIONS",
            "TAGS",
            "SEEN",
        )
    )
    for row in rows:
        chunk, last, versions = row["workingOn"], row["lastFrame"], row["versions"]
        table.add_row(
            row["name"],
            Text.assemble((row["state"], COLOURS[row["state"]]), f": {row['reason']}" if row["reason"] else ""),
            f"{chunk['kind']} {chunk['chunk']} {chunk['framesDone']}/{chunk['frames']}" if chunk else "",
            f"{last['frame']}, {_ago(last['at'], at)}" if last else "",
            f"{row['engine']} ({row['gpu'] or 'no GPU'}){_speed(row)}" + ("" if row["draws"] else ", previews only"),
            f"{row['memory'] / 2**30:.0f} GiB",
            row["sandbox"],
            f"{versions['plinth']}, bpy {versions['bpy']}",
            ", ".join(row["tags"]),
            Text.assemble(_ago(row["seen"], at), (_clock(row["clockOffset"]), "red")),
        )
    return table


def _speed(row: dict[str, Any]) -> str:
    """What was measured of the node's engine."""
    measured = [each for each in row["measuredEngines"] or [] if each["engine"] == row["engine"] and each["seconds"]]
    return "".join(f", {each['seconds']['share']:.2f} s a share frame" for each in measured)


def _clock(offset: float) -> str:
    """What is wrong with a node's clock, if anything."""
    if abs(offset) <= MAX_CLOCK_OFFSET_SECONDS:
        return ""
    return f", clock {abs(offset):.0f} s {'fast' if offset > 0 else 'slow'}"


def _ago(time: str, at: datetime) -> str:
    return ago(datetime.fromisoformat(time), at)

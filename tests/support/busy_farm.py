"""A farm with many nodes and renders, inserted in bulk: what an operator's pages show after a busy week."""

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from farm.db import clock
from farm.db.session import Database
from farm.db.tables import Account, Asset, AttemptLog, Chunk, Model, Node, Render, Shot
from farm.ids import new_id
from farm.orders import plan
from farm.orders.render_settings import parse
from farm.settings import Settings
from tests.support.nodes import CPU

FRAMES = 60  # of a render, in two chunks
SECONDS = 40  # of an attempt
WEEK_SECONDS = 7 * 24 * 3600
STATUSES = ["done"] * 8 + ["pending", "error"]  # and video-processing, one on each node


def fill(database: Database, account: Account, settings: Settings, *, nodes: int, renders: int) -> list[str]:
    """Add nodes and renders of one account, spread over the last week. Returns the renders' ids, the newest first."""
    request = parse({})
    spec = plan.shot("0" * 64, request, settings).to_json()
    with database.write() as db:
        at = clock.now(db)
        model = Model(
            account_id=account.id, original_name="chair.glb", format="glb", file_size=1, sha256=f"{renders:064}"
        )
        db.add(model)
        db.flush()
        rows: dict[Any, list[dict[str, Any]]] = {Shot: [], Render: [], Chunk: [], AttemptLog: [], Asset: [], Node: []}
        for index in range(renders):
            status = "video-processing" if index < nodes else STATUSES[index % len(STATUSES)]
            ordered_at = at - timedelta(seconds=60 + index * WEEK_SECONDS / renders)
            shot_id, render_id, worker = new_id(), new_id(), f"node-{index % nodes:03}"
            rows[Shot].append({"id": shot_id, "model_id": model.id, "digest": shot_id, "spec": spec, "frames": FRAMES})
            rows[Render].append(
                {
                    "id": render_id,
                    "account_id": account.id,
                    "model_id": model.id,
                    "shot_id": shot_id,
                    "status": status,
                    "settings": request.to_wire(),
                    "error_message": "The model has no triangles" if status == "error" else None,
                    "created_at": ordered_at,
                    "updated_at": ordered_at,
                }
            )
            state = {"done": "done", "video-processing": "running", "pending": "queued", "error": "failed"}[status]
            for first in (0, FRAMES // 2):
                began_at = ordered_at + timedelta(seconds=5)
                chunk = {
                    "id": new_id(),
                    "shot_id": shot_id,
                    "account_id": account.id,
                    "tier": request.quality,
                    "first_frame": first,
                    "frames": FRAMES // 2,
                    "frames_done": {"done": FRAMES // 2, "running": 12}.get(state, 0),
                    "priority": 2,
                    "turn": index,
                    "state": state,
                    "worker": worker if state != "queued" else None,
                    "claimed_at": began_at if state != "queued" else None,
                    "lease_until": at + timedelta(minutes=1) if state == "running" else None,
                    "created_at": ordered_at,
                }
                rows[Chunk].append(chunk)
                if state in ("done", "failed"):
                    rows[AttemptLog].append(
                        {
                            "chunk_id": chunk["id"],
                            "attempt": 1,
                            "worker": worker,
                            "began_at": began_at,
                            "ended_at": began_at + timedelta(seconds=SECONDS),
                            "outcome": "finished" if state == "done" else "failed",
                            "noticed_by": "worker",
                            "reason": None if state == "done" else "The model has no triangles",
                            "text": "A line of the log\n" * 20,
                        }
                    )
            if status == "done":
                rows[Asset] += [
                    {
                        "render_id": render_id,
                        "kind": kind,
                        "storage_key": f"renders/{render_id}/1/{kind}",
                        "content_type": "image/jpeg",
                        "size": 1000,
                        "created_at": ordered_at,
                    }
                    for kind in ("thumb-still", "video")
                ]
        last = {chunk["worker"]: chunk["id"] for chunk in reversed(rows[Chunk]) if chunk["worker"]}
        rows[Node] = [_node(f"node-{index:03}", last, at) for index in range(nodes)]
        for table, some in rows.items():
            db.execute(insert(table), some)
    return [row["id"] for row in rows[Render]]


def _node(name: str, last: dict[Any, str], at: Any) -> dict[str, Any]:
    return {
        **vars(CPU),
        "name": name,
        "draws": True,
        "started_at": at,
        "seen_at": at + timedelta(hours=1),  # stays alive during a slow test
        "last_chunk_id": last.get(name),
        "last_frame": 11,
        "last_frame_at": at,
    }

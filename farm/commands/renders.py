"""`farm renders`: list, show, cancel, retry and put first renders of all accounts."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from farm import logs
from farm.commands.logs import chunk_line
from farm.commands.shared import (
    Data,
    Json,
    account_of,
    ago,
    console,
    fail,
    iso_time,
    open_database,
    operator,
    print_table,
    settings_with,
)
from farm.db import accounts, audit, clock, renders
from farm.db.renders import Detail
from farm.db.tables import Render
from farm.scheduling import leases, priorities, submit
from farm.scheduling.doorbell import Doorbell, connect
from farm.scheduling.render_status import NEXT

app = typer.Typer(no_args_is_help=True, help="Renders of all accounts.")

Ids = Annotated[list[str], typer.Argument(metavar="RENDER...", help="Ids as shown by `farm renders list`.")]
CANCELLED = "Cancelled by the farm's operator"


@app.command("list")
def list_renders(
    status: Annotated[
        list[str] | None, typer.Option(help=f"Only renders with this status: {', '.join(NEXT)}. Repeatable.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="EMAIL", help="Only renders of this account.")] = None,
    node: Annotated[str | None, typer.Option(metavar="NAME", help="Only renders that this node has worked on.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of renders.")] = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List renders, the newest first: status, age, account, tier, frames, nodes, error."""
    for name in status or []:
        if name not in NEXT:
            fail(f"There is no status {name!r}. Statuses: {', '.join(NEXT)}")
    with open_database(data) as database, database.read() as db:
        account_id = account_of(db, account).id if account else None
        details = renders.newest(db, statuses=status or [], account_id=account_id, node=node, limit=limit)
        nodes = renders.workers(db, [detail.render.id for detail in details])
        at = clock.now(db)
    if as_json:
        print(json.dumps([_render_json(detail, nodes[detail.render.id]) for detail in details]))
        return
    print_table(
        ("ID", "STATUS", "ORDERED", "ACCOUNT", "TIER", "FRAMES", "NODES", "ERROR"),
        [
            [
                detail.render.id,
                detail.render.status,
                ago(detail.render.created_at, at),
                detail.render.account.email,
                detail.render.shot.spec["tier"],
                f"{detail.frames_done}/{detail.frames}",
                ", ".join(nodes[detail.render.id]),
                detail.render.error_message or "",
            ]
            for detail in details
        ],
    )


@app.command()
def show(render_id: Annotated[str, typer.Argument(metavar="RENDER")], data: Data = None, as_json: Json = False) -> None:
    """Show a render: its account, model, settings, credits and chunks. `farm logs` shows its logs."""
    with open_database(data) as database, database.read() as db:
        render = _found(db.get(Render, render_id), render_id)
        detail = renders.detail(db, render.account_id, render_id)
        found = _render_json(detail, renders.workers(db, [render_id])[render_id]) | {
            "model": {"id": render.model_id, "name": render.model.original_name},
            "credits": accounts.paid_for(db, render_id),
            "bytes": detail.file_size,
            "settings": render.settings,
            "chunks": [chunk_line(chunk) for chunk in renders.parts(db, render)],
        }
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        for line in value if name == "chunks" else [_text(value)]:
            console.print(f"{name:10} {line}", markup=False)


@app.command()
def cancel(render_ids: Ids, data: Data = None) -> None:
    """End renders that are not over as errors, and refund their credits. Workers stop drawing them."""
    _change_each("cancel", render_ids, lambda db, render: leases.cancel(db, render, CANCELLED), data, "was cancelled")


@app.command()
def retry(render_ids: Ids, data: Data = None) -> None:
    """Queue renders that ended as errors once more, under the same ids. Their price is charged again."""
    logs.configure("error")
    settings = settings_with(data=data)
    doorbell = Doorbell(connect(settings.redis_url))
    _change_each(
        "retry", render_ids, lambda db, render: submit.again(db, render, settings, doorbell), data, "is queued again"
    )


@app.command()
def priority(render_ids: Ids, data: Data = None) -> None:
    """Give the next turns to renders that wait: before those of all other accounts."""
    _change_each("priority", render_ids, priorities.put_first, data, "is next")


def _change_each(
    action: str, render_ids: list[str], change: Callable[[Session, Render], None], data: Any, outcome: str
) -> None:
    with open_database(data) as database:
        for render_id in render_ids:
            with database.write() as db:
                render = _found(renders.locked(db, render_id), render_id)
                change(db, render)
                audit.record(db, operator(), f"renders {action}", render_id, account_id=render.account_id)
            console.print(f"{render_id} {outcome}")


def _found(render: Render | None, render_id: str) -> Render:
    if render is None:
        fail(f"There is no render {render_id}: it was deleted or never existed")
    return render


def _text(value: Any) -> str:
    """A value of `_render_json` on one line."""
    if isinstance(value, list):
        return ", ".join(value)
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _render_json(detail: Detail, nodes: list[str]) -> dict[str, Any]:
    """A render as `--json` prints it; times are ISO 8601 in UTC."""
    render = detail.render
    return {
        "id": render.id,
        "status": render.status,
        "error": render.error_message,
        "account": render.account.email,
        "tier": render.shot.spec["tier"],
        "preview": render.is_system_preview,
        "ordered": iso_time(render.created_at),
        "changed": iso_time(render.updated_at),
        "retries": render.retries,
        "frames": detail.frames,
        "framesDone": detail.frames_done,
        "nodes": nodes,
    }

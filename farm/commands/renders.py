"""`farm renders`: list, show, cancel, retry and put first renders of all accounts."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import typer

from farm import logs
from farm.commands.logs import chunk_line
from farm.commands.shared import (
    Data,
    Json,
    RenderId,
    account_of,
    console,
    duration,
    fail,
    iso_time,
    open_database,
    operator,
    print_json,
    print_table,
    settings_with,
)
from farm.db import accounts, attempt_logs, clock, renders
from farm.db.clock import ago
from farm.db.lists import Listing
from farm.db.renders import Detail
from farm.errors import FarmError
from farm.scheduling import administration
from farm.scheduling.doorbell import Doorbell, connect
from farm.scheduling.render_status import NEXT

MAX_AGE = timedelta(weeks=5200)  # a hundred years

app = typer.Typer(no_args_is_help=True, help="Renders of all accounts.")

Ids = Annotated[list[str], typer.Argument(metavar="RENDER", help="Ids from `farm renders list`.")]


@app.command("list")
def list_renders(
    status: Annotated[
        list[str] | None, typer.Option(help=f"Only renders with this status: {', '.join(NEXT)}. Repeatable.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="EMAIL", help="Only renders of this account.")] = None,
    node: Annotated[str | None, typer.Option(metavar="NAME", help="Only renders that this node has worked on.")] = None,
    error: Annotated[
        str, typer.Option(metavar="TEXT", help="Only renders with this text in their error, in upper or lower case.")
    ] = "",
    older_than: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only renders ordered at least this long ago, such as 90m or 2d.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of renders.")] = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List renders, the newest first: status, age, account, tier, frames, nodes, error."""
    for name in status or []:
        if name not in NEXT:
            fail(f"There is no status {name!r}. Statuses: {', '.join(NEXT)}")
    with open_database(data) as database, database.read() as db:
        at = clock.now(db)
        details, total = renders.page_of_all(
            db,
            Listing(text=error, limit=limit),
            statuses=status or [],
            account=account_of(db, account).id if account else "",
            node=node or "",
            created_before=None if older_than is None else _before(at, older_than),
        )
        nodes = renders.workers(db, [detail.render.id for detail in details])
    if as_json:
        print_json([_render_json(detail, nodes[detail.render.id]) for detail in details])
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
    if total > len(details):
        console.print(f"{len(details)} of {total}; --limit shows more")


@app.command()
def show(render_id: RenderId, data: Data = None, as_json: Json = False) -> None:
    """Show a render: its account, model, settings, credits and chunks. `farm logs` shows its logs."""
    with open_database(data) as database, database.read() as db:
        render = administration.find(db, render_id)
        detail = renders.detail(db, render.account_id, render_id)
        found = _render_json(detail, renders.workers(db, [render_id])[render_id]) | {
            "model": {"id": render.model_id, "name": render.model.original_name},
            "credits": accounts.paid_for(db, render_id),
            "bytes": detail.file_size,
            "settings": render.settings,
            "chunks": [chunk_line(chunk) for chunk, _ in attempt_logs.of_render(db, render)],
        }
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        for line in value if name == "chunks" else [_text(value)]:
            console.print(f"{name:10} {line}")


@app.command()
def cancel(render_ids: Ids, data: Data = None) -> None:
    """End renders before they are done, as errors, and refund their credits. Workers stop drawing them."""
    _change_each(render_ids, administration.cancel, data, "was cancelled")


@app.command()
def retry(render_ids: Ids, data: Data = None) -> None:
    """Queue renders that ended as errors once more, under the same ids. Their price is charged again."""
    logs.configure("error")
    settings = settings_with(data=data)
    doorbell = Doorbell(connect(settings.redis_url))
    _change_each(
        render_ids, partial(administration.retry, settings=settings, doorbell=doorbell), data, "is queued again"
    )


@app.command()
def priority(render_ids: Ids, data: Data = None) -> None:
    """Let renders that wait be drawn next, before those of all other accounts."""
    _change_each(render_ids, administration.put_first, data, "is next")


def _change_each(render_ids: list[str], change: Callable[..., object], data: Any, outcome: str) -> None:
    with open_database(data) as database:
        for render_id in render_ids:
            with database.write() as db:
                try:
                    change(db, render_id, operator())
                except FarmError as error:
                    fail(error.message if render_id in error.message else f"{render_id}: {error.message}")
            console.print(f"{render_id} {outcome}")


def _before(at: datetime, text: str) -> datetime:
    age = duration(text)
    if age is None or age > MAX_AGE:
        fail(f"--older-than must be a length of time such as 90m, 12h or 2d, not {text!r}")
    return at - age


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

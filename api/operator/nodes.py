"""The pages of nodes: what each does, what it has done, and what an operator may do to it."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import Farm, FarmDep
from api.effects import EffectDep
from api.operator.charts import Chart
from api.portal import pages
from api.portal.visitors import OperatorDep, PortalRoute, redirect
from farm.db import clock, history, nodes, operations
from farm.db.clock import MAX_CLOCK_OFFSET_SECONDS
from farm.db.history import Intervals, Outcomes
from farm.db.tables import Chunk, Node, Render
from farm.errors import Conflict, FarmError, NotFound
from farm.nodes import administration, registry
from farm.nodes.quarantine import Failure

router = APIRouter(route_class=PortalRoute)

PAGE = "/operator/nodes"
SPARKLINE_SECONDS, SPARKLINE_NUMBER = 180, 20  # an hour
OUTCOMES_SINCE = timedelta(days=1)
ACTIONS = {"drain": administration.drain, "resume": administration.resume, "forget": administration.forget}


@dataclass(frozen=True)
class NodeRow:
    """What the pages show of a node. `picture` is the id of a render with a still like the node's last frame.

    `rates` are frames a second over the last hour; `render` is what `chunk`, or else its last chunk, is for.
    """

    node: Node
    state: registry.State
    chunk: Chunk | None
    render: Render | None
    picture: str | None
    rates: list[float]
    outcomes: Outcomes

    @property
    def rate(self) -> float:
        """The mean over the last hour."""
        return sum(self.rates) / len(self.rates)

    @property
    def sparkline(self) -> Chart:
        return Chart(self.rates)

    @property
    def is_late(self) -> bool:
        """Whether its clock is off by so much that it should be mended."""
        return abs(self.node.clock_offset) > MAX_CLOCK_OFFSET_SECONDS


@router.get("/nodes")
def list_nodes(request: Request, _: OperatorDep, farm: FarmDep) -> Response:
    """All nodes, or those in one state; only the part that changes for htmx, which polls it."""
    with farm.database.read() as db:
        at = clock.now(db)
        rows = _rows(db, nodes.every(db), at)
    states = Counter(row.state for row in rows)
    chosen = request.query_params.get("state", "")
    return pages.page(
        request,
        "operator/nodes_state.html" if "hx-request" in request.headers else "operator/nodes.html",
        at=at,
        rows=[row for row in rows if chosen not in get_args(registry.State) or row.state == chosen],
        states={state: states[state] for state in get_args(registry.State) if states[state]},
        chosen=chosen if chosen in get_args(registry.State) else "",
        total=len(rows),
        rate=sum(row.rate for row in rows),
    )


@router.get("/nodes/{name}")
def get_node(request: Request, name: str, _: OperatorDep, farm: FarmDep) -> Response:
    """One node. Raises NotFound."""
    return _page(request, name, farm)


@router.post("/nodes/{name}/{action}")
def change_node(
    request: Request, name: str, action: str, operator: OperatorDep, farm: FarmDep, effect: EffectDep
) -> Response:
    """Drain, resume or forget a node. Raises NotFound."""
    if action not in ACTIONS:
        raise NotFound
    try:
        with effect.transaction() as db:
            ACTIONS[action](db, pages.storable(name), operator.account.id)
    except Conflict as error:
        return _page(request, name, farm, problem=error)
    return redirect(PAGE if action == "forget" else f"{PAGE}/{name}")


def _page(request: Request, name: str, farm: Farm, *, problem: FarmError | None = None) -> Response:
    with farm.database.read() as db:
        at = clock.now(db)
        found = [pair for pair in nodes.every(db) if pair[0].name == name]
        if not found:
            raise NotFound("There is no such node: it was removed, or never joined")
        [row] = _rows(db, found, at)
        failures = [Failure(*failure) for failure in row.node.failures or []]
        models = operations.with_contents(db, {(failure.account_id, failure.sha256) for failure in failures})
    values: dict[str, Any] = {"row": row, "node": row.node, "at": at, "problem": problem}
    values["failures"] = [(failure, models.get((failure.account_id, failure.sha256))) for failure in reversed(failures)]
    template = "operator/node_state.html" if "hx-request" in request.headers else "operator/node.html"
    return pages.page(request, template, status=problem.status if problem else 200, **values)


def _rows(db: Session, found: list[tuple[Node, Chunk | None]], at: datetime) -> list[NodeRow]:
    last = {node.name: chunk.id if chunk else node.last_chunk_id for node, chunk in found}
    renders = operations.renders_of_chunks(db, {chunk_id for chunk_id in last.values() if chunk_id})
    pictures = operations.pictures(db, renders.values())
    rates = history.frames_of_nodes(
        db, Intervals(at, SPARKLINE_SECONDS, SPARKLINE_NUMBER), [node.name for node, _ in found]
    )
    outcomes = history.outcomes_of_nodes(db, at - OUTCOMES_SINCE)
    rows = []
    for node, chunk in found:
        render = renders.get(last[node.name] or "")
        rows.append(
            NodeRow(
                node,
                registry.state(node, chunk, at),
                chunk,
                render,
                pictures.get(render.id) if render else None,
                rates.get(node.name, [0.0] * SPARKLINE_NUMBER),
                outcomes.get(node.name, Outcomes(0, 0)),
            )
        )
    return rows

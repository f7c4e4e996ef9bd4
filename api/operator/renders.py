"""The page of any account's render: its chunks on a timeline, its attempts and their logs, what may be done to it."""

from fastapi import APIRouter, Request, Response

from api.assets import service as assets
from api.dependencies import Farm, FarmDep
from api.effects import EffectDep
from api.operator.charts import duration
from api.operator.timeline import Timeline
from api.portal import pages
from api.portal.files import MISSING
from api.portal.visitors import OperatorDep, PortalRoute, redirect
from farm.db import accounts, attempt_logs, clock, gallery, operations, renders
from farm.errors import Conflict, FarmError, InvalidFormat, InvalidSettings, NoCredits, NotFound
from farm.scheduling import administration
from farm.scheduling.render_status import OVER

router = APIRouter(route_class=PortalRoute)

PAGE = "/operator/renders"


@router.get("/renders/{render_id}")
def get_render(request: Request, render_id: str, _: OperatorDep, farm: FarmDep) -> Response:
    """A render of any account; only its part that changes for htmx, which polls it. Raises RenderNotFound."""
    return _page(request, render_id, farm)


@router.get("/renders/{render_id}/attempts/{attempt_id}")
def get_log(request: Request, render_id: str, attempt_id: str, _: OperatorDep, farm: FarmDep) -> Response:
    """The log of one attempt at a chunk. Raises RenderNotFound, or NotFound."""
    with farm.database.read() as db:
        render = administration.find(db, render_id)
        found = attempt_logs.find(db, render, pages.storable(attempt_id))
        if found is None:
            raise NotFound("There is no such attempt: it was deleted with its chunk, as its render was queued again")
        chunk, attempt = found
        return pages.page(request, "operator/log.html", render=render, chunk=chunk, attempt=attempt)


@router.get("/renders/{render_id}/files/{kind}")
def get_file(request: Request, render_id: str, kind: str, operator: OperatorDep, farm: FarmDep) -> Response:
    """A file of any account's render. Raises NotFound, RenderNotFound or that of the kind."""
    if kind not in MISSING:
        raise NotFound
    with farm.database.read() as db:
        owner = administration.find(db, render_id).account
        file = assets.asset(db, owner, render_id, kind, MISSING[kind])
    return pages.private(assets.file_response(request, farm.storage, file), operator.account.id)


@router.post("/renders/{render_id}/{action}")
def change_render(
    request: Request, render_id: str, action: str, operator: OperatorDep, farm: FarmDep, effect: EffectDep
) -> Response:
    """Cancel a render, retry its chunks, or give it the next turns. Raises RenderNotFound."""
    actor = operator.account.id
    try:
        with effect.transaction() as db:
            match action:
                case "cancel":
                    administration.cancel(db, render_id, actor)
                case "retry":
                    administration.retry(db, render_id, actor, farm.settings, farm.doorbell)
                case "priority":
                    administration.put_first(db, render_id, actor)
                case _:
                    raise NotFound
    except (Conflict, InvalidSettings, InvalidFormat, NoCredits) as error:
        return _page(request, render_id, farm, problem=error)
    return redirect(f"{PAGE}/{render_id}")


def _page(request: Request, render_id: str, farm: Farm, *, problem: FarmError | None = None) -> Response:
    with farm.database.read() as db:
        at = clock.now(db)
        render = administration.find(db, render_id)
        detail = renders.detail(db, render.account_id, render_id)
        parts = attempt_logs.of_render(db, render)
        return pages.page(
            request,
            "operator/render_state.html" if "hx-request" in request.headers else "operator/render.html",
            status=problem.status if problem else 200,
            at=at,
            detail=detail,
            render=render,
            parts_of_render=parts,
            timeline=Timeline.of(parts, render.created_at, at),
            kinds={asset.kind for asset in gallery.assets(db, render_id)},
            picture=operations.pictures(db, [render]).get(render_id),
            duration=duration,
            nodes=renders.workers(db, [render_id])[render_id],
            paid=accounts.paid_for(db, render_id),
            is_over=render.status in OVER,
            waits=any(chunk.state == "queued" for chunk, _ in parts),
            problem=problem,
        )

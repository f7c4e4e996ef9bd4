"""The gallery of renders, and the page of each: watch, download, delete, dismiss, retry."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from api.dependencies import Farm, FarmDep
from api.effects import EffectDep
from api.portal import labels, pages
from api.portal.labels import GROUPS, QUALITIES, SORTS
from api.portal.visitors import PortalRoute, Visitor, VisitorDep, redirect
from api.queries import MAX_TEXT_LENGTH
from api.renders import service
from farm.db import accounts, gallery, renders
from farm.db.gallery import Filter
from farm.errors import Conflict, FarmError, InvalidFormat, InvalidSettings, NoCredits, NotFound
from farm.orders.effects import PATHS
from farm.scheduling import submit
from farm.scheduling.render_status import OVER

router = APIRouter(route_class=PortalRoute)

PAGE_SIZE = 24
MAX_OFFSET = 1_000_000
PAGE = "/portal/renders"


@router.get("/renders")
def list_renders(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    """A page of the account's renders, as the filters in the query say."""
    query = request.query_params
    chosen = {
        name: query.get(name, "")[:MAX_TEXT_LENGTH] for name in ("q", "status", "effect", "quality", "tag", "sort")
    }
    wanted = Filter(
        text=pages.storable(chosen["q"]).strip(),
        statuses=GROUPS[chosen["status"]][1] if chosen["status"] in GROUPS else (),
        effect=chosen["effect"] if chosen["effect"] in (*PATHS, "dataset") else "",
        quality=chosen["quality"] if chosen["quality"] in QUALITIES else "",
        tag=pages.storable(chosen["tag"]),
        sort=chosen["sort"] if chosen["sort"] in SORTS else next(iter(SORTS)),
        offset=pages.offset(query.get("offset", ""), MAX_OFFSET),
    )
    with farm.database.read() as db:
        details, total = gallery.page(db, visitor.account.id, wanted, PAGE_SIZE)
        tags = gallery.tags(db, visitor.account.id)
    kept = {name: value for name, value in chosen.items() if value}
    return pages.page(
        request,
        "renders.html",
        details=details,
        total=total,
        offset=wanted.offset,
        page_size=PAGE_SIZE,
        chosen=chosen,
        is_filtered=any(value for name, value in chosen.items() if name != "sort"),
        effects={name: labels.effect(name) for name in (*PATHS, "dataset")},
        tags=tags,
        link=lambda offset: f"{PAGE}?{urlencode({**kept, 'offset': offset})}",
        unfinished=_unfinished(details),
    )


@router.get("/renders/status")
def get_status(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    """The cards of all shown renders that were under way, in one answer; it asks again for those that still are."""
    ids = request.query_params.get("ids", "").split(",")[:PAGE_SIZE]
    with farm.database.read() as db:
        details = gallery.shown(db, visitor.account.id, ids)
    return pages.page(request, "cards.html", details=details, unfinished=_unfinished(details))


@router.get("/renders/{render_id}")
def get_render(request: Request, render_id: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """The page of one render; only its part that changes for htmx, which polls it. Raises RenderNotFound."""
    return _page(request, render_id, visitor, farm)


@router.post("/renders/{render_id}/delete")
def delete_render(render_id: str, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Delete a render. Raises RenderNotFound."""
    with effect.transaction() as db:
        service.delete(db, farm, visitor.account, render_id)
    return redirect(PAGE)


@router.post("/renders/{render_id}/dismiss")
def dismiss_render(request: Request, render_id: str, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Acknowledge a failed render. Raises RenderNotFound."""
    try:
        with effect.transaction() as db:
            service.dismiss(db, visitor.account, render_id)
    except Conflict as error:
        return _page(request, render_id, visitor, farm, problem=error)
    return redirect(f"{PAGE}/{render_id}")


@router.post("/renders/{render_id}/retry")
def retry_render(request: Request, render_id: str, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Queue a failed render once more, for its price. Raises RenderNotFound."""
    try:
        with effect.transaction() as db:
            render = renders.owned(db, visitor.account.id, render_id, lock=True)
            submit.again(db, render, farm.settings, farm.doorbell)
    except (Conflict, InvalidSettings, InvalidFormat, NoCredits) as error:
        return _page(request, render_id, visitor, farm, problem=error)
    return redirect(f"{PAGE}/{render_id}")


def _page(
    request: Request, render_id: str, visitor: Visitor, farm: Farm, *, problem: FarmError | None = None
) -> Response:
    with farm.database.read() as db:
        found = gallery.shown(db, visitor.account.id, [render_id])
        if not found:
            raise NotFound("There is no such render: it was deleted, or belongs to another account")
        paid = accounts.paid_for(db, render_id)
        assets = {asset.kind: asset for asset in gallery.assets(db, render_id)}
    template = "render_state.html" if "hx-request" in request.headers else "render.html"
    return pages.page(
        request,
        template,
        status=problem.status if problem else 200,
        detail=found[0],
        render=found[0].render,
        assets=assets,
        paid=paid,
        is_over=found[0].render.status in OVER,
        problem=problem,
    )


def _unfinished(details: list[renders.Detail]) -> list[str]:
    return [detail.render.id for detail in details if detail.render.status not in OVER]

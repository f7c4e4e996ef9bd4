"""/v1/admin: the renders and the queue of all accounts, for keys of admin accounts."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from api.admin.schemas import AccountWork, AllRendersQuery, AnyRender, AnyRenderDetail, QueueDetail, QueueState
from api.auth import AdminRead, AdminWrite, KeyedRoute
from api.dependencies import FarmDep
from api.effects import EffectDep
from api.envelope import Data, Meta, Page
from api.errors import errors
from api.ids import RenderInPath
from api.renders.schemas import CAMERAS_IN_LIST
from farm.db import accounts, attempt_logs, renders, statistics
from farm.db.tables import Render
from farm.errors import Conflict, InvalidFormat, InvalidSettings, NoCredits, RenderNotFound
from farm.scheduling import administration

router = APIRouter(prefix="/admin", tags=["Administration"], route_class=KeyedRoute)


@router.get("/renders", responses=errors(), response_model_exclude={"data": CAMERAS_IN_LIST})
def list_all_renders(_: AdminRead, farm: FarmDep, query: Annotated[AllRendersQuery, Query()]) -> Page[AnyRender]:
    """The renders of all accounts, newest first unless `sort` says otherwise."""
    with farm.database.read() as db:
        details, total = renders.page_of_all(
            db,
            query.listing(query.sort, query.error),
            statuses=query.status,
            account=query.account,
            node=query.node,
            created_before=query.created_before,
        )
        nodes = renders.workers(db, [detail.render.id for detail in details])
    meta = Meta(total=total, offset=query.offset, limit=query.limit)
    return Page(data=[AnyRender.of(detail, nodes[detail.render.id]) for detail in details], meta=meta)


@router.get("/renders/{render_id}", responses=errors(RenderNotFound))
def show_render(render_id: RenderInPath, _: AdminRead, farm: FarmDep) -> Data[AnyRenderDetail]:
    """A render of any account: its chunks, and which nodes have tried them with which outcome."""
    with farm.database.read() as db:
        return Data(data=_detail(db, administration.find(db, render_id)))


@router.patch("/renders/{render_id}/cancel", responses=errors(RenderNotFound, Conflict))
def cancel_render(render_id: RenderInPath, account: AdminWrite, effect: EffectDep) -> Data[AnyRenderDetail]:
    """End a render that is not over as an error, and refund its credits. Workers stop drawing it."""
    with effect.transaction() as db:
        return Data(data=_detail(db, administration.cancel(db, render_id, account.id)))


@router.patch(
    "/renders/{render_id}/retry",
    responses=errors(RenderNotFound, Conflict, NoCredits, InvalidSettings, InvalidFormat),
)
def retry_render(
    render_id: RenderInPath, account: AdminWrite, farm: FarmDep, effect: EffectDep
) -> Data[AnyRenderDetail]:
    """Queue a render that ended as an error once more, under its id. Its account pays its price again."""
    with effect.transaction() as db:
        render = administration.retry(db, render_id, account.id, farm.settings, farm.doorbell)
        return Data(data=_detail(db, render))


@router.patch("/renders/{render_id}/priority", responses=errors(RenderNotFound, Conflict))
def put_render_first(render_id: RenderInPath, account: AdminWrite, effect: EffectDep) -> Data[AnyRenderDetail]:
    """Give the next turns to the parts of a render that wait: before those of all other accounts."""
    with effect.transaction() as db:
        return Data(data=_detail(db, administration.put_first(db, render_id, account.id)))


@router.get("/queue", responses=errors())
def get_queue(_: AdminRead, farm: FarmDep) -> Data[QueueState]:
    """How many chunks wait and run, by queue and by account."""
    with farm.database.read() as db:
        queues, work = administration.queues(db), statistics.unfinished_of_accounts(db)
    return Data(
        data=QueueState(
            queues=[QueueDetail.from_counts(counts) for counts in queues],
            accounts=[AccountWork.from_counts(counts) for counts in work],
        )
    )


def _detail(db: Session, render: Render) -> AnyRenderDetail:
    db.flush()
    detail = renders.detail(db, render.account_id, render.id)
    nodes = renders.workers(db, [render.id])[render.id]
    parts = attempt_logs.of_render(db, render)
    return AnyRenderDetail.of_parts(detail, nodes, accounts.paid_for(db, render.id), parts)

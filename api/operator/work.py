"""The page of work: what waits, by queue and by account, and the renders of all accounts."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from api.dependencies import FarmDep
from api.portal import pages
from api.portal.labels import GROUPS
from api.portal.visitors import OperatorDep, PortalRoute
from api.queries import MAX_TEXT_LENGTH
from farm.db import clock, operations, renders, statistics
from farm.db.lists import Listing
from farm.scheduling import administration

router = APIRouter(route_class=PortalRoute)

PAGE = "/operator/work"
PAGE_SIZE = 25
MAX_OFFSET = 1_000_000
MAX_ACCOUNTS_SHOWN = 10


@router.get("/work")
def get_work(request: Request, _: OperatorDep, farm: FarmDep) -> Response:
    """The queues and a page of renders, as the query says; only the part that changes for htmx, which polls it."""
    query = request.query_params
    chosen = {name: pages.storable(query.get(name, "")[:MAX_TEXT_LENGTH]).strip() for name in ("q", "status", "node")}
    offset = pages.offset(query.get("offset", ""), MAX_OFFSET)
    with farm.database.read() as db:
        at = clock.now(db)
        details, total = renders.page_of_all(
            db,
            Listing(limit=PAGE_SIZE, offset=offset),
            statuses=GROUPS[chosen["status"]][1] if chosen["status"] in GROUPS else (),
            node=chosen["node"],
            search=chosen["q"],
        )
        nodes = renders.workers(db, [detail.render.id for detail in details])
        pictures = operations.pictures(db, [detail.render for detail in details])
        queues, accounts = administration.queues(db), statistics.unfinished_of_accounts(db)
    kept = {name: value for name, value in chosen.items() if value}
    return pages.page(
        request,
        "operator/work_state.html" if "hx-request" in request.headers else "operator/work.html",
        at=at,
        queues=queues,
        accounts=accounts[:MAX_ACCOUNTS_SHOWN],
        more_accounts=max(len(accounts) - MAX_ACCOUNTS_SHOWN, 0),
        details=details,
        nodes=nodes,
        pictures=pictures,
        total=total,
        offset=offset,
        page_size=PAGE_SIZE,
        chosen=chosen,
        link=lambda offset: f"{PAGE}?{urlencode({**kept, 'offset': offset})}",
        this=f"{PAGE}?{urlencode({**kept, 'offset': offset})}",
    )

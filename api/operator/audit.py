"""The page of the audit: which operator did what, when, and to what."""

import json
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from api.dependencies import FarmDep
from api.portal import pages
from api.portal.visitors import OperatorDep, PortalRoute
from api.queries import MAX_TEXT_LENGTH
from farm.db import accounts, audit, clock
from farm.db.tables import AuditEntry

router = APIRouter(route_class=PortalRoute)

PAGE = "/operator/audit"
PAGE_SIZE = 50
MAX_OFFSET = 1_000_000


@router.get("/audit")
def list_entries(request: Request, _: OperatorDep, farm: FarmDep) -> Response:
    """The newest entries, or those about an account and of an admin, by address or id."""
    text = pages.storable(request.query_params.get("account", "")[:MAX_TEXT_LENGTH]).strip()
    offset = pages.offset(request.query_params.get("offset", ""), MAX_OFFSET)
    with farm.database.read() as db:
        at = clock.now(db)
        named = accounts.find_account(db, text) if text else None
        wanted = named.id if named else text or None
        entries = audit.newest(db, account_id=wanted, limit=PAGE_SIZE + 1, offset=offset)
        emails = audit.emails(db, entries)
    return pages.page(
        request,
        "operator/audit.html",
        at=at,
        entries=entries[:PAGE_SIZE],
        emails=emails,
        details=details_of,
        text=text,
        earlier=_link(text, max(offset - PAGE_SIZE, 0)) if offset else None,
        later=_link(text, offset + PAGE_SIZE) if len(entries) > PAGE_SIZE else None,
    )


def details_of(entry: AuditEntry) -> str:
    """The details of an entry on one line."""
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in entry.details.items() if value is not None)


def _link(text: str, offset: int) -> str:
    return f"{PAGE}?{urlencode({'account': text, 'offset': offset})}"

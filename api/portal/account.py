"""The page of an account: its credits by month and entry, its password, and its sessions."""

from typing import Any

from fastapi import APIRouter, Request, Response

from api.dependencies import Farm, FarmDep
from api.effects import EffectDep
from api.portal import pages
from api.portal.visitors import PortalRoute, Visitor, VisitorDep, redirect
from farm.accounts import passwords, sessions
from farm.db import accounts
from farm.db import sessions as session_rows
from farm.errors import FarmError, InvalidRequest, RateLimited

router = APIRouter(route_class=PortalRoute)

ENTRIES_SHOWN = 50
MONTHS_SHOWN = 12
PAGE = "/portal/account"


@router.get("/account")
def get_account(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    return _page(request, visitor, farm, has_changed="changed" in request.query_params)


@router.post("/account/password")
def change_password(request: Request, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Change the password, and end all other sessions of the account."""
    try:
        farm.rate_limiter.take_log_in(visitor.account.email, request.client.host if request.client else "")
        with farm.database.read() as db:
            old = accounts.password_digest(db, visitor.account.id)
        if not passwords.is_right(visitor.form.text("old"), old):
            raise InvalidRequest("The current password is wrong")
        new = passwords.digest(visitor.form.text("new"))
        with effect.transaction() as db:
            sessions.change_password(db, visitor.account, new, keep=visitor.session.id)
    except (InvalidRequest, RateLimited) as error:
        return _page(request, visitor, farm, problem=error, status=error.status)
    return redirect(f"{PAGE}?changed")


@router.post("/account/sessions/{session_id}/end")
def end_session(session_id: str, visitor: VisitorDep, effect: EffectDep) -> Response:
    """Log another browser out."""
    with effect.transaction() as db:
        session_rows.end(db, visitor.account.id, session_id=session_id)
    return redirect(PAGE)


def _page(
    request: Request,
    visitor: Visitor,
    farm: Farm,
    *,
    problem: FarmError | None = None,
    has_changed: bool = False,
    status: int = 200,
) -> Response:
    with farm.database.read() as db:
        values: dict[str, Any] = {
            "entries": accounts.ledger_of(db, visitor.account.id, ENTRIES_SHOWN),
            "months": accounts.usage_by_month(db, visitor.account.id, MONTHS_SHOWN),
            "sessions": session_rows.of_account(db, visitor.account.id),
        }
    values |= {"problem": problem, "has_changed": has_changed, "min_length": passwords.MIN_LENGTH}
    return pages.page(request, "account.html", status=status, **values)

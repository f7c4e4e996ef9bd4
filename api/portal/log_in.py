"""Pages for guests: log in, sign up; and log out.

Their transactions are not those of an effect (api.effects): a guest has no session that could be checked again, and who
logs out needs none that is still valid.
"""

from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import Farm, FarmDep
from api.portal import pages
from api.portal.visitors import Guest, GuestDep, PortalRoute, drop_cookie, redirect, set_cookie
from farm.accounts import passwords, sessions
from farm.db import sessions as session_rows
from farm.errors import FarmError, Forbidden, InvalidRequest, RateLimited

log = structlog.get_logger()
router = APIRouter(route_class=PortalRoute)

HOME = "/portal"
WRONG = "The email address or the password is wrong"


class WrongPassword(InvalidRequest):
    status, default = 401, WRONG


@router.get("/log-in")
def get_log_in(request: Request, guest: GuestDep, farm: FarmDep) -> Response:
    """The form for email address and password."""
    if guest.session:
        return redirect(HOME)
    return _log_in_page(request, guest, farm, next_page=request.query_params.get("next", ""))


@router.post("/log-in")
def log_in(request: Request, guest: GuestDep, farm: FarmDep) -> Response:
    """Check the password, and start a session with a token of its own."""
    email, password = guest.form.text("email").strip(), guest.form.text("password")
    try:
        farm.rate_limiter.take_log_in(email, _address(request))
        with farm.database.read() as db:
            account, digest = sessions.credentials(db, email)
        if not passwords.is_right(password, digest) or account is None or digest is None:
            log.warning("log_in_failed", account=account.id if account else None)
            raise WrongPassword
        with farm.database.write() as db:
            _end_session(guest, db)
            token = sessions.start(db, account.id, digest, request.headers.get("user-agent", ""))
    except (WrongPassword, RateLimited, Forbidden) as error:
        return _log_in_page(
            request, guest, farm, next_page=guest.form.text("next"), email=email, problem=error, status=error.status
        )
    return _logged_in(request, token, guest.form.text("next"))


@router.get("/sign-up")
def get_sign_up(request: Request, guest: GuestDep, farm: FarmDep) -> Response:
    """The form for a new account, if visitors may sign up."""
    code = request.query_params.get("invitation")
    _check_may_sign_up(farm, code)
    return _sign_up_page(request, guest, code)


@router.post("/sign-up")
def sign_up(request: Request, guest: GuestDep, farm: FarmDep) -> Response:
    """Create an account, and log in to it."""
    form = guest.form
    email, code = form.text("email").strip(), form.text("invitation") or None
    try:
        _check_may_sign_up(farm, code)
        farm.rate_limiter.take_log_in(email, _address(request))
        digest = passwords.digest(form.text("password"))
        with farm.database.write() as db:
            invitation = code if farm.settings.sign_up == "invite" else None
            account = sessions.sign_up(db, email, digest, invitation)
            _end_session(guest, db)
            token = sessions.start(db, account.id, digest, request.headers.get("user-agent", ""))
    except (InvalidRequest, RateLimited) as error:
        return _sign_up_page(request, guest, code, email=email, problem=error, status=error.status)
    return _logged_in(request, token, "")


@router.post("/log-out")
def log_out(request: Request, guest: GuestDep, farm: FarmDep) -> Response:
    """End this browser's session."""
    with farm.database.write() as db:
        _end_session(guest, db)
    response = redirect("/portal/log-in")
    drop_cookie(request, response)
    return response


def _end_session(guest: Guest, db: Session) -> None:
    if guest.session:
        session_rows.end(db, guest.session.account_id, session_id=guest.session.id)


def _logged_in(request: Request, token: str, next_page: str) -> Response:
    response = redirect(next_page if _is_page(next_page) else HOME)
    set_cookie(request, response, token, int(sessions.LIFETIME.total_seconds()))
    return response


def _is_page(path: str) -> bool:
    """Whether a path is one of the portal's or the operator's, and cannot lead to another host."""
    return path.startswith(("/portal/", "/operator/")) and "\\" not in path and path.isprintable()


def _check_may_sign_up(farm: Farm, code: str | None) -> None:
    """Raises Forbidden, which says what to do instead."""
    match farm.settings.sign_up:
        case "closed":
            raise Forbidden("Signing up is closed here: ask the farm's operator for an account")
        case "invite":
            with farm.database.read() as db:
                if not code or not sessions.is_invited(db, code):
                    raise Forbidden("To sign up here you need an invitation, which works once: ask the farm's operator")


def _log_in_page(
    request: Request,
    guest: Guest,
    farm: Farm,
    *,
    next_page: str,
    email: str = "",
    problem: FarmError | None = None,
    status: int = 200,
) -> Response:
    values: dict[str, Any] = {"next_page": next_page, "email": email, "problem": problem}
    values["may_sign_up"] = farm.settings.sign_up == "open"
    return _with_token(request, guest, pages.page(request, "log_in.html", status=status, **values))


def _sign_up_page(
    request: Request,
    guest: Guest,
    code: str | None,
    *,
    email: str = "",
    problem: FarmError | None = None,
    status: int = 200,
) -> Response:
    values: dict[str, Any] = {
        "code": code or "",
        "email": email,
        "problem": problem,
        "min_length": passwords.MIN_LENGTH,
    }
    return _with_token(request, guest, pages.page(request, "sign_up.html", status=status, **values))


def _with_token(request: Request, guest: Guest, response: Response) -> Response:
    """Give a guest the token that its form carries."""
    if guest.session is None:
        set_cookie(request, response, guest.token)
    return response


def _address(request: Request) -> str:
    return request.client.host if request.client else ""

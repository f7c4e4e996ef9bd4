"""Who visits a page: the session of the browser's cookie, and the check of every form that it sends.

A page is an endpoint of a `PortalRoute`, with a parameter `visitor: VisitorDep` (logged in), `operator: OperatorDep`
(logged in to an admin account) or `guest: GuestDep`.
"""

import hashlib
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, cast, get_type_hints
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.body_limit import limited
from api.dependencies import Farm, farm_of
from api.effects import Effect
from api.errors import to_farm_error
from api.portal import pages
from farm.accounts import sessions
from farm.db.tables import Account, BrowserSession
from farm.errors import Forbidden, FormExpired, InvalidRequest, LoggedOut

COOKIE = "plinth"
SECURE_COOKIE = "__Host-plinth"  # the prefix keeps other hosts of the domain from setting it
TOKEN_FIELD, TOKEN_HEADER = "token", "X-Form-Token"
MAX_FIELDS = 200
LOG_IN = "/portal/log-in"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Form:
    """The fields of a form that was sent. A field may have several values."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, [default])[0]

    def all(self, name: str) -> list[str]:
        return self.values.get(name, [])


@dataclass
class Guest:
    """A browser: its cookie's token, and its session if it is logged in. `form` is what it sent with a POST."""

    token: str
    session: BrowserSession | None
    form: Form = field(default_factory=Form)

    @property
    def form_token(self) -> str:
        """The token that every form of this browser carries; another site cannot know it."""
        return hmac.new(self.token.encode("utf-8", "replace"), b"form", hashlib.sha256).hexdigest()

    @property
    def account(self) -> Account | None:
        return self.session.account if self.session else None


@dataclass
class Visitor(Guest):
    """A browser that is logged in."""

    session: BrowserSession

    @property
    def account(self) -> Account:
        return self.session.account


class Operator(Visitor):
    """A browser that is logged in to an admin account."""


def _guest(request: Request) -> Guest:
    return cast(Guest, request.state.guest)


async def _of_request(request: Request) -> Guest:  # async, because FastAPI runs other functions in a thread
    return _guest(request)


GuestDep = Annotated[Guest, Depends(_of_request)]
VisitorDep = Annotated[Visitor, Depends(_of_request)]
OperatorDep = Annotated[Operator, Depends(_of_request)]


class PortalRoute(APIRoute):
    """A route of a page. A page with a parameter of type Visitor or Operator leads guests to the log-in.

    Errors become a page, as does one of an operator for other accounts.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options |= {"include_in_schema": False, "response_model": None}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        parameters = get_type_hints(self.endpoint).values()
        needs_admin = Operator in parameters
        needs_account = needs_admin or Visitor in parameters

        async def admit_then_handle(request: Request) -> Response:
            try:
                guest = await run_in_threadpool(_admit, farm_of(request), request)
                request.state.guest = guest
                if needs_account and guest.account is None:
                    return _to_log_in(request)
                if needs_admin and guest.account:
                    sessions.check_is_admin(guest.account)
                if request.method == "POST":
                    request = await _checked_form(request, guest)
                    if guest.session:
                        await run_in_threadpool(
                            farm_of(request).rate_limiter.take, guest.session.account_id, f"session:{guest.session.id}"
                        )
                        with farm_of(request).counted_request(guest.session.account_id):
                            request.state.effect = effect = _effect_of(request, guest.session, needs_admin)
                            return await effect.once(partial(handle, request))
                return await handle(request)
            except LoggedOut:
                return _to_log_in(request)
            except Exception as error:
                return pages.error_page(request, to_farm_error(request, error))

        return admit_then_handle


def _admit(farm: Farm, request: Request) -> Guest:
    """The browser that sends a request. Raises WrongVersion, or Forbidden for a suspended account."""
    farm.version_check.check()
    token = request.cookies.get(cookie_name(request), "")
    if not token:
        return Guest(sessions.new_token(), None)
    with farm.database.read() as db:
        session = sessions.authenticate(db, token)
    if session is None:
        return Guest(token, None)
    if session.account.suspended_at and not request.url.path.endswith("/log-out"):
        raise Forbidden
    return (Operator if session.account.is_admin else Visitor)(token, session)


async def _checked_form(request: Request, guest: Guest) -> Request:
    """Read the form of a POST, and check that a page of this browser sent it. Raises FormExpired or InvalidRequest.

    A form with files is not read: its token comes in a header. The returned request can be read again.
    """
    sent = request.headers.get(TOKEN_HEADER, "")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        request = Request(request.scope, limited(request.receive))
        try:
            text = (await request.body()).decode()
            fields = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_FIELDS)
        except ClientDisconnect as error:
            raise InvalidRequest("The connection was closed during the request") from error
        except ValueError as error:
            raise InvalidRequest("The form cannot be read") from error
        for name, value in fields:
            guest.form.values.setdefault(name, []).append(value)
        sent = sent or guest.form.text(TOKEN_FIELD)
    if not hmac.compare_digest(sent.encode("utf-8", "replace"), guest.form_token.encode()):
        raise FormExpired
    return request


def _effect_of(request: Request, session: BrowserSession, needs_admin: bool) -> Effect:
    check_again = partial(sessions.check_again, session_id=session.id, needs_admin=needs_admin)
    route = request.scope["route"].path
    return Effect(farm_of(request).database, session.account_id, check_again, None, route, 200, False, request)


def _to_log_in(request: Request) -> Response:
    """Lead a guest to the log-in, and from there back to the page, if it is one."""
    is_part = "hx-request" in request.headers or TOKEN_HEADER in request.headers
    back = "" if request.method != "GET" or is_part else request.url.path
    if back and request.url.query:
        back += f"?{request.url.query}"
    url = f"{LOG_IN}?next={quote(back, safe='')}" if back not in ("", "/portal") else LOG_IN
    if is_part:  # a script, which would follow a redirect and put the log-in into the page
        return Response(status_code=401, headers={"HX-Redirect": url, "Cache-Control": "no-store"})
    return RedirectResponse(url, 303, {"Cache-Control": "no-store"})


def cookie_name(request: Request) -> str:
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE


def set_cookie(request: Request, response: Response, token: str, max_age: int | None = None) -> None:
    """Set the cookie with a token, until the browser closes or for `max_age` seconds."""
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=max_age,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def drop_cookie(request: Request, response: Response) -> None:
    set_cookie(request, response, "", 0)


def redirect(url: str) -> Response:
    """Lead a browser to a page after a POST."""
    return RedirectResponse(url, 303, {"Cache-Control": "no-store"})

"""Authentication and authorisation: from a bearer key to an Account, before the body is read.

An endpoint declares the scope that it requires by the type of its account parameter: `account: RendersWrite`.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast, get_type_hints

import structlog
from fastapi import Request, Response, Security
from fastapi.params import Security as SecurityMark
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from api.body_limit import limited
from api.dependencies import Farm, farm_of
from farm.accounts import accounts
from farm.db.tables import Account, Key
from farm.errors import Unauthorized

log = structlog.get_logger()
bearer = HTTPBearer(auto_error=False, scheme_name="apiKey", description="An API key, `dxgl_sk_...`")


async def _account(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> Account:
    return cast(Account, request.state.account)


# Security, not Depends, so that OpenAPI shows the scope.
ModelsRead = Annotated[Account, Security(_account, scopes=["models:read"])]
ModelsWrite = Annotated[Account, Security(_account, scopes=["models:write"])]
RendersRead = Annotated[Account, Security(_account, scopes=["renders:read"])]
RendersWrite = Annotated[Account, Security(_account, scopes=["renders:write"])]
OverlaysRead = Annotated[Account, Security(_account, scopes=["overlays:read"])]
OverlaysWrite = Annotated[Account, Security(_account, scopes=["overlays:write"])]
AccountRead = Annotated[Account, Security(_account, scopes=["account:read"])]


class KeyedRoute(APIRoute):
    """A route that requires a key. It is checked here because FastAPI reads a declared body before any dependency."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        reads_whole_body = self.body_field is not None
        scope = _scope_of(self.endpoint)

        async def check_key_then_handle(request: Request) -> Response:
            credentials = await bearer(request)
            if credentials is None:
                raise Unauthorized
            key = await run_in_threadpool(_authenticate, farm_of(request), credentials.credentials, scope)
            request.state.account, request.state.key_id = key.account, key.id
            if reads_whole_body:
                request = Request(request.scope, limited(request.receive))
            return await handle(request)

        return check_key_then_handle


def _scope_of(endpoint: Callable[..., Any]) -> str:
    for hint in get_type_hints(endpoint, include_extras=True).values():
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, SecurityMark) and mark.dependency is _account:
                (scope,) = mark.scopes or ()
                return scope
    raise TypeError(f"{endpoint.__name__} requires a key but no scope: give its account one of the types above")


def _authenticate(farm: Farm, raw: str, scope: str) -> Key:
    with farm.database.read() as db:
        key = accounts.authenticate(db, raw, scope)
    if accounts.is_use_recorded_long_ago(key):
        try:
            with farm.database.write() as db:
                accounts.record_use(db, key)
        except OperationalError as error:  # a database that cannot be written can still be read
            log.warning("key_use_not_recorded", key=key.id, error=str(error))
    return key

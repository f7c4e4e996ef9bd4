"""Authentication, authorisation and rate limits: from a bearer key to an Account, before the body is read.

An endpoint declares the scope that it requires by the type of its account parameter: `account: RendersWrite`.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, cast, get_type_hints

import structlog
from fastapi import Request, Response, Security
from fastapi.params import Security as SecurityMark
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api import effects, queries
from api.body_limit import limited
from api.dependencies import Farm, farm_of
from api.errors import add_error
from api.rate_limits import HEADERS, WriteLimit
from farm.accounts import accounts
from farm.db.session import DATABASE_DOWN
from farm.db.tables import Account, Key
from farm.errors import IdempotencyInFlight, IdempotencyMismatch, InvalidRequest, RateLimited, Unauthorized

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
AdminRead = Annotated[Account, Security(_account, scopes=["admin:read"])]  # of an admin account, as AdminWrite
AdminWrite = Annotated[Account, Security(_account, scopes=["admin:write"])]


class KeyedRoute(APIRoute):
    """A route that requires a key. It is checked here because FastAPI reads a declared body before any dependency.

    Writes are limited in number, and a POST has its effect once for each Idempotency-Key (api.effects).
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        methods, responses = set(options["methods"]), options["responses"] or {}
        self.writes = not methods <= {"GET", "HEAD"}
        if self.writes:
            add_error(responses, RateLimited)
            responses[options["status_code"] or 200] = {"headers": HEADERS}
        if methods == {"POST"}:
            add_error(responses, IdempotencyInFlight)
            add_error(responses, IdempotencyMismatch)
            options["openapi_extra"] = {**(options["openapi_extra"] or {}), "parameters": [effects.PARAMETER]}
        options["responses"] = dict(sorted(responses.items(), key=lambda item: str(item[0])))
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        reads_whole_body = self.body_field is not None
        scope = _scope_of(self.endpoint)
        check_query = queries.checker(self.dependant)

        async def check_key_then_handle(request: Request) -> Response:
            credentials = await bearer(request)
            if credentials is None:
                raise Unauthorized
            key, write_limit = await run_in_threadpool(
                _admit, farm_of(request), credentials.credentials, scope, is_write=self.writes
            )
            request.state.account, request.state.key_id, request.state.write_limit = key.account, key.id, write_limit
            check_query(request.query_params)
            if reads_whole_body:
                request = Request(request.scope, limited(request.receive))
            response = await (self._write(request, key, scope, handle) if self.writes else handle(request))
            if write_limit:
                response.headers.update(write_limit.headers)
            return Download(response, key.account_id) if isinstance(response, StreamingResponse) else response

        return check_key_then_handle

    async def _write(
        self, request: Request, key: Key, scope: str, handle: Callable[[Request], Coroutine[Any, Any, Response]]
    ) -> Response:
        """Handle a request that may have an effect."""
        effect = effects.Effect(
            farm_of(request).database,
            key.account_id,
            partial(accounts.check_again, key_id=key.id, scope=scope),
            effects.read_header(request) if request.method == "POST" else None,
            self.path_format,
            self.status_code or 200,
            self.response_model_exclude_none,
            request,
        )
        request.state.effect = effect

        async def begin_and_handle() -> Response:
            if effect.idempotency_key and self.body_field:  # the content of a form is known once it has been received
                try:
                    await effect.begin(await request.body())
                except ClientDisconnect as error:
                    raise InvalidRequest("The connection was closed during the request") from error
            return await handle(request)

        with farm_of(request).counted_request(key.account_id):
            return await effect.once(begin_and_handle)


class Download(Response):
    """A response that may take long to send: it is one of its account's requests until its client has read it."""

    def __init__(self, response: StreamingResponse, account_id: str) -> None:
        super().__init__(status_code=response.status_code)
        self._response, self._account_id = response, account_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with farm_of(Request(scope)).counted_request(self._account_id):
            await self._response(scope, receive, send)


def _scope_of(endpoint: Callable[..., Any]) -> str:
    for hint in get_type_hints(endpoint, include_extras=True).values():
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, SecurityMark) and mark.dependency is _account:
                (scope,) = mark.scopes or ()
                return scope
    raise TypeError(f"{endpoint.__name__} requires a key but no scope: give its account one of the types above")


def _admit(farm: Farm, raw: str, scope: str, *, is_write: bool) -> tuple[Key, WriteLimit | None]:
    """The key of a request, and for a write what is left of its limit.

    Raises WrongVersion, Unauthorized, Forbidden, RateLimited.
    """
    farm.version_check.check()
    with farm.database.read() as db:
        key = accounts.authenticate(db, raw, scope)
        is_use_due = accounts.is_use_recorded_long_ago(db, key)
    write_limit = farm.rate_limiter.take(key.account_id, f"key:{key.id}") if is_write else None
    if is_use_due:
        try:
            with farm.database.write() as db:
                accounts.record_use(db, key)
        except DATABASE_DOWN as error:  # a database that cannot be written can still be read
            log.warning("key_use_not_recorded", key=key.id, error=str(error))
    return key, write_limit

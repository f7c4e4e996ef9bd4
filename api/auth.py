"""Who calls: bearer key -> Account, before a byte of the body is read."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from api.body_limit import limited
from api.dependencies import Farm, farm_of
from farm import accounts
from farm.db.tables import Account
from farm.errors import Unauthorized

bearer = HTTPBearer(auto_error=False, scheme_name="apiKey", description="An API key, `dxgl_sk_...`")


class KeyedRoute(APIRoute):
    """A route that wants a key, checked here since FastAPI reads a declared body before any dependency runs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        reads_whole_body = self.body_field is not None

        async def check_key_then_handle(request: Request) -> Response:
            credentials = await bearer(request)
            if credentials is None:
                raise Unauthorized
            request.state.account = await run_in_threadpool(_authenticate, farm_of(request), credentials.credentials)
            if reads_whole_body:
                request = Request(request.scope, limited(request.receive))
            return await handle(request)

        return check_key_then_handle


def _authenticate(farm: Farm, raw: str) -> Account:
    with farm.database.read() as db:
        return accounts.authenticate(db, raw)


async def _account(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> Account:
    return cast(Account, request.state.account)


Signed = Annotated[Account, Depends(_account)]

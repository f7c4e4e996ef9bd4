"""The FastAPI application: routers, error handlers, lifespan."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from api import catalogue, health, metrics, reference_page, trailing_slash
from api.access_log import AccessLog
from api.account import endpoints as account
from api.admin import endpoints as admin
from api.assets import endpoints as assets
from api.body_deadline import BodyDeadline
from api.dependencies import Farm
from api.errors import handle_error
from api.guides import endpoints as guides
from api.models import endpoints as models
from api.openapi import CompletedApi, operation_id
from api.operator import routes as operator
from api.overlays import endpoints as overlays
from api.portal import routes as portal
from api.rate_limits import RateLimiter
from api.renders import endpoints as renders
from api.request_id import RequestId, UnexpectedErrors
from api.request_limit import RequestLimit
from api.security_headers import SecurityHeaders
from api.version_check import VersionCheck
from farm import __version__
from farm.db.session import Database
from farm.errors import FarmError
from farm.scheduling.doorbell import connect
from farm.settings import Settings
from farm.storage import open_storage

# For pages of other hosts (FARM_CORS_ORIGINS). A key is sent as a header, never by the browser itself.
CORS: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PATCH", "DELETE"],
    "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "If-Range", "Range"],
    "expose_headers": [
        *("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Retry-After"),
        *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-ID"),
    ],
}


def create_app(settings: Settings) -> FastAPI:
    """The API of the farm that `settings` describes. The database must be migrated."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings.make_data_folder()  # incoming uploads are written here, wherever the database is
        database, redis = Database(settings.database), connect(settings.redis_url)
        rate_limiter = RateLimiter(settings)
        app.state.farm = Farm(settings, database, open_storage(settings), redis, rate_limiter, VersionCheck(database))
        app.state.health = health.Checks(settings)
        try:
            yield
        finally:
            app.state.health.close()
            rate_limiter.close()
            redis.close()
            database.close()

    app = CompletedApi(
        title="Plinth",
        version=__version__,
        description="3D models in, product videos out. Every response in JSON is an object: with `data`, and `meta` in "
        "lists, or with `error`. Send the API key with every call but `GET /v1/health`, as a bearer token.",
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        docs_url=None,  # its page loads scripts from other hosts: api.reference_page
        redoc_url=None,
        redirect_slashes=False,  # calls of the API get a 404; pages: api.trailing_slash
    )
    routers = [models.router, renders.router, assets.router, overlays.router, catalogue.router]
    routers += [account.router, admin.router, health.router]
    for router in routers:
        app.include_router(router, prefix="/v1")
    app.include_router(metrics.router)
    app.include_router(trailing_slash.router)
    app.include_router(reference_page.router)
    app.include_router(guides.router)
    app.include_router(portal.router)
    app.include_router(operator.router)
    others = [metrics.router, trailing_slash.router, reference_page.router, guides.router, portal.router]
    app.state.methods = _methods(
        {
            "": [*others, operator.router],
            "/v1": routers,
            "/portal": [part.router for part in portal.PARTS],
            "/operator": [part.router for part in operator.PARTS],
        }
    )
    for kind in (
        FarmError,
        RequestValidationError,
        HTTPException,
        OperationalError,
        ProgrammingError,
        PoolTimeout,
        OSError,
    ):
        app.add_exception_handler(kind, handle_error)
    # From the innermost to the outermost.
    app.add_middleware(BodyDeadline, seconds=settings.body_timeout, bytes_per_second=settings.client_rate)
    app.add_middleware(RequestLimit, max_requests=settings.max_requests)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(AccessLog)
    app.add_middleware(RequestId)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    app.add_middleware(SecurityHeaders)
    return app


def _methods(routers: Mapping[str, Iterable[APIRouter]]) -> dict[str, list[str]]:
    """The methods of each path, by the whole path template; `routers` by the prefix of their paths."""
    methods: dict[str, list[str]] = {}
    for prefix, those in routers.items():
        for route in (route for router in those for route in router.routes):
            if isinstance(route, APIRoute):
                methods.setdefault(f"{prefix}{route.path}", []).extend(sorted(route.methods or ()))
    return methods

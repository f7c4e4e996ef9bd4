"""/metrics: the farm's metrics for Prometheus, which authenticates with the key of an admin account."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import AccountRead, KeyedRoute
from api.dependencies import FarmDep
from farm import metrics
from farm.errors import Forbidden

router = APIRouter(route_class=KeyedRoute, include_in_schema=False)


@router.get("/metrics")
def get_metrics(farm: FarmDep, account: AccountRead) -> Response:
    """Prometheus text format. For admin accounts only: the metrics cover all clients of the farm."""
    if not account.is_admin:
        raise Forbidden("The farm's metrics are for admin accounts")
    return Response(metrics.text(farm.database, farm.redis, farm.settings.data), media_type=CONTENT_TYPE_LATEST)

"""The page of an account's API keys: create, roll and revoke them."""

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import Farm, FarmDep
from api.effects import EffectDep
from api.portal import pages
from api.portal.visitors import Form, PortalRoute, Visitor, VisitorDep, redirect
from farm.accounts import accounts
from farm.db import accounts as account_rows
from farm.db import clock
from farm.db.tables import Key
from farm.errors import Conflict, FarmError, InvalidRequest, Unauthorized

router = APIRouter(route_class=PortalRoute)

PAGE = "/portal/keys"
MAX_KEYS_SHOWN = 200
MAX_VALID_KEYS = 100
# The choices of the forms, in days and hours.
LIFETIMES = {"": "Never", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
OVERLAPS = {"0": "at once", "1": "in an hour", "24": "in a day", "168": "in a week"}


@router.get("/keys")
def get_keys(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    return _page(request, visitor, farm)


@router.post("/keys")
def create_key(request: Request, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Create a key, and show it once."""
    try:
        name, scopes, days = _read(visitor.form)
        with effect.transaction() as db:
            _check_number(db, visitor)
            expires_at = clock.now(db) + timedelta(days=days) if days else None
            raw = accounts.create_key(db, visitor.account, name=name, scopes=scopes, expires_at=expires_at)
    except (InvalidRequest, Conflict) as error:
        return _page(request, visitor, farm, problem=error)
    return _page(request, visitor, farm, raw=raw)


@router.post("/keys/{key_id}/roll")
def roll_key(key_id: str, request: Request, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Replace a key, and show the new one once."""
    hours = visitor.form.text("overlap")
    try:
        if hours not in OVERLAPS:
            raise InvalidRequest("Choose when the old key ends")
        with effect.transaction() as db:
            _check_number(db, visitor)
            raw = accounts.roll_key(db, visitor.account.id, key_id, timedelta(hours=int(hours)))
    except (InvalidRequest, Conflict, Unauthorized) as error:
        return _page(request, visitor, farm, problem=error)
    return _page(request, visitor, farm, raw=raw)


@router.post("/keys/{key_id}/revoke")
def revoke_key(key_id: str, request: Request, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    try:
        with effect.transaction() as db:
            accounts.revoke_own_key(db, visitor.account.id, key_id)
    except Unauthorized as error:
        return _page(request, visitor, farm, problem=error)
    return redirect(PAGE)


def _read(form: Form) -> tuple[str, list[str] | None, int]:
    """The name, scopes (None: all) and lifetime in days (0: for ever) that were chosen. Raises InvalidRequest."""
    name, days = form.text("name").strip(), form.text("days")
    if not 0 < len(name) <= accounts.MAX_KEY_NAME_LENGTH:
        raise InvalidRequest(f"Give the key a name of 1 to {accounts.MAX_KEY_NAME_LENGTH} characters")
    if not name.isprintable():
        raise InvalidRequest("The name must be text without control characters")
    if days not in LIFETIMES:
        raise InvalidRequest("Choose when the key expires")
    if form.text("access") == "all":
        return name, None, int(days or 0)
    scopes = [scope for scope in accounts.SCOPES if scope in form.all("scope")]
    if not scopes:
        raise InvalidRequest("Choose at least one scope")
    return name, scopes, int(days or 0)


def _check_number(db: Session, visitor: Visitor) -> None:
    """Raises Conflict when the account has as many valid keys as it may create here."""
    at = clock.now(db)
    keys = account_rows.newest_keys(db, visitor.account.id, MAX_KEYS_SHOWN)
    if len([key for key in keys if _is_valid(key, at)]) >= MAX_VALID_KEYS:
        raise Conflict(f"The account has {MAX_VALID_KEYS} valid keys: revoke one that is not needed")


def _is_valid(key: Key, at: datetime) -> bool:
    return not key.revoked_at and (key.expires_at is None or key.expires_at > at)


def _page(
    request: Request, visitor: Visitor, farm: Farm, *, raw: str | None = None, problem: FarmError | None = None
) -> Response:
    with farm.database.read() as db:
        keys = account_rows.newest_keys(db, visitor.account.id, MAX_KEYS_SHOWN)
        at = clock.now(db)
    values: dict[str, Any] = {
        "valid": [key for key in keys if _is_valid(key, at)],
        "over": [key for key in keys if not _is_valid(key, at)],
        "scopes": accounts.SCOPES,
        "lifetimes": LIFETIMES,
        "overlaps": OVERLAPS,
        "max_name_length": accounts.MAX_KEY_NAME_LENGTH,
        "raw": raw,
        "problem": problem,
        "url": str(request.base_url).rstrip("/"),
        "form": visitor.form,
    }
    return pages.page(request, "keys.html", status=problem.status if problem else 200, **values)

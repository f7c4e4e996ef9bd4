"""The pages of accounts: credits, keys, quotas and ledger of each, and what an operator may do to it."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import Farm, FarmDep
from api.effects import EffectDep
from api.portal import pages
from api.portal.visitors import OperatorDep, PortalRoute, Visitor, redirect
from api.queries import MAX_TEXT_LENGTH
from farm.accounts import administration
from farm.accounts.administration import MAX_CREDITS
from farm.db import accounts as account_rows
from farm.db import audit, clock, operations, quotas, statistics
from farm.db.tables import Account
from farm.errors import Conflict, FarmError, InvalidRequest, NoCredits, NotFound, Unauthorized
from farm.ids import well_formed
from farm.scheduling.render_status import OVER
from farm.storage import discard

router = APIRouter(route_class=PortalRoute)

PAGE = "/operator/accounts"
PAGE_SIZE = 50
MAX_OFFSET = 1_000_000
MAX_KEYS_SHOWN, ENTRIES_SHOWN, MONTHS_SHOWN, ACTIONS_SHOWN = 100, 30, 6, 20
OWN = "This is your own account: another operator may do it, or a command"


@router.get("/accounts")
def list_accounts(request: Request, _: OperatorDep, farm: FarmDep) -> Response:
    """A page of all accounts, or of those with a text in their address."""
    text = pages.storable(request.query_params.get("q", "")[:MAX_TEXT_LENGTH]).strip()
    offset = pages.offset(request.query_params.get("offset", ""), MAX_OFFSET)
    with farm.database.read() as db:
        rows, total = operations.accounts(db, text, limit=PAGE_SIZE, offset=offset)
        keys = operations.key_counts(db, [row.id for row in rows])
        work = {counts.account_id: counts for counts in statistics.unfinished_of_accounts(db)}
    return pages.page(
        request,
        "operator/accounts.html",
        rows=rows,
        keys=keys,
        work=work,
        total=total,
        text=text,
        offset=offset,
        page_size=PAGE_SIZE,
        link=lambda offset: f"{PAGE}?{urlencode({'q': text, 'offset': offset})}",
    )


@router.get("/accounts/{account_id}")
def get_account(request: Request, account_id: str, _: OperatorDep, farm: FarmDep) -> Response:
    """One account. Raises NotFound."""
    return _page(request, account_id, farm)


@router.post("/accounts/{account_id}/erase")
def erase_account(
    request: Request, account_id: str, operator: OperatorDep, farm: FarmDep, effect: EffectDep
) -> Response:
    """Delete an account with everything that it owns, if its address was typed. Raises NotFound."""
    try:
        with effect.transaction() as db:
            account = _account(db, account_id)
            _check_is_other(account, operator)
            if operator.form.text("email").strip() != account.email:
                raise InvalidRequest(f"To erase this account type its address: {account.email}")
            _, files = administration.erase(db, account, OVER, operator.account.id)
    except (Conflict, InvalidRequest) as error:
        return _page(request, account_id, farm, problem=error)
    discard(farm.storage, files)
    return redirect(PAGE)


@router.post("/accounts/{account_id}/keys/{key_id}/revoke")
def revoke_key(
    request: Request, account_id: str, key_id: str, operator: OperatorDep, farm: FarmDep, effect: EffectDep
) -> Response:
    """Revoke one of the account's keys. Raises NotFound."""
    try:
        with effect.transaction() as db:
            account = _account(db, account_id)
            if key_id not in {key.id for key in account_rows.keys_of(db, account)}:
                raise Unauthorized("This is not a key of this account")
            administration.revoke_key(db, key_id, operator.account.id)
    except Unauthorized as error:
        return _page(request, account_id, farm, problem=error)
    return redirect(f"{PAGE}/{account_id}")


@router.post("/accounts/{account_id}/{action}")
def change_account(
    request: Request, account_id: str, action: str, operator: OperatorDep, farm: FarmDep, effect: EffectDep
) -> Response:
    """Suspend or resume an account, give it credits or take them back. Raises NotFound."""
    actor = operator.account.id
    try:
        with effect.transaction() as db:
            account = _account(db, account_id)
            match action:
                case "suspend":
                    _check_is_other(account, operator)
                    administration.suspend(db, account, actor)
                case "resume":
                    administration.resume(db, account, actor)
                case "grant":
                    administration.grant(db, account, _credits(operator), actor)
                case "take":
                    administration.take(db, account, _credits(operator), actor)
                case _:
                    raise NotFound
    except (Conflict, InvalidRequest, NoCredits) as error:
        return _page(request, account_id, farm, problem=error)
    return redirect(f"{PAGE}/{account_id}")


def _account(db: Session, account_id: str) -> Account:
    account = db.get(Account, account_id) if well_formed(account_id) else None
    if account is None:
        raise NotFound("There is no such account: it was erased, or never existed")
    return account


def _check_is_other(account: Account, operator: Visitor) -> None:
    if account.id == operator.account.id:
        raise Conflict(OWN)


def _credits(operator: Visitor) -> int:
    text = operator.form.text("credits").strip()
    if not (
        text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_CREDITS)) and 0 < int(text) <= MAX_CREDITS
    ):
        raise InvalidRequest(f"Give a whole number of credits from 1 to {MAX_CREDITS}")
    return int(text)


def _page(request: Request, account_id: str, farm: Farm, *, problem: FarmError | None = None) -> Response:
    with farm.database.read() as db:
        account = _account(db, account_id)
        actions = audit.newest(db, account_id=account_id, limit=ACTIONS_SHOWN)
        values: dict[str, Any] = {
            "account": account,
            "at": clock.now(db),
            "keys": account_rows.newest_keys(db, account_id, MAX_KEYS_SHOWN),
            "entries": account_rows.ledger_of(db, account_id, ENTRIES_SHOWN),
            "months": account_rows.usage_by_month(db, account_id, MONTHS_SHOWN),
            "usage": quotas.usage(db, account_id),
            "work": {each.account_id: each for each in statistics.unfinished_of_accounts(db)}.get(account_id),
            "actions": actions,
            "emails": audit.emails(db, actions),
        }
    values |= {"problem": problem, "settings": farm.settings, "max_credits": MAX_CREDITS}
    return pages.page(request, "operator/account.html", status=problem.status if problem else 200, **values)

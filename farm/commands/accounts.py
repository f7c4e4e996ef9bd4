"""`farm accounts` and `farm keys`: accounts, their credits and their API keys."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from farm import logs
from farm.accounts import accounts, credits, erasure
from farm.commands.shared import (
    Data,
    Json,
    account_of,
    console,
    fail,
    iso_time,
    open_database,
    operator,
    optional_iso_time,
    print_table,
    settings_with,
)
from farm.db import audit, clock, holdings, nodes
from farm.db.accounts import all_accounts, keys_of, ledger_of
from farm.db.tables import Account, Key
from farm.errors import FarmError
from farm.scheduling.render_status import OVER
from farm.storage import discard, open_storage

accounts_app = typer.Typer(no_args_is_help=True, help="Accounts of the farm's clients.")
keys_app = typer.Typer(no_args_is_help=True, help="API keys.")

MAX_CREDITS = 1_000_000_000
MAX_KEY_NAME_LENGTH = 100
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@accounts_app.command("create")
def create_account(
    email: str,
    credits_: Annotated[int, typer.Option("--credits", min=0, max=MAX_CREDITS, help="Initial credits.")] = credits.FREE,
    admin: Annotated[bool, typer.Option("--admin", help="Create an account for operators.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create an account."""
    with open_database(data) as database:
        try:
            with database.write() as db:
                account = accounts.create(db, email, admin=admin, credits_=credits_)
                _record(db, "accounts create", account.id, account.id, admin=admin, credits=credits_)
        except ValueError as error:
            fail(str(error))
    line = f"Account {account.id} for {account.email}, {account.credits} credits"
    print(json.dumps(_account_json(account)) if as_json else line)


@accounts_app.command("list")
def list_accounts(data: Data = None, as_json: Json = False) -> None:
    """List all accounts."""
    with open_database(data) as database, database.read() as db:
        rows = all_accounts(db)
    if as_json:
        print(json.dumps([_account_json(row) for row in rows]))
        return
    for row in rows:
        marks = "  (admin)" * row.is_admin + "  (suspended)" * bool(row.suspended_at)
        marks += f"  (nodes: {row.node_tag})" if row.node_tag else ""
        console.print(f"{row.id}  {row.email}  {row.credits} credits{marks}")


@accounts_app.command("suspend")
def suspend_account(email: str, data: Data = None) -> None:
    """Suspend an account: all its keys are refused until it is resumed.

    Its queued work waits; chunks that a worker has begun are finished.
    """
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        account.suspended_at = clock.now(db)
        _record(db, "accounts suspend", account.id, account.id)
    console.print(f"Suspended {email}")


@accounts_app.command("resume")
def resume_account(email: str, data: Data = None) -> None:
    """Lift the suspension of an account."""
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        account.suspended_at = None
        _record(db, "accounts resume", account.id, account.id)
    console.print(f"Resumed {email}")


@accounts_app.command("grant")
def grant_credits(
    email: str,
    number: Annotated[int, typer.Argument(metavar="CREDITS", min=1, max=MAX_CREDITS)],
    data: Data = None,
) -> None:
    """Give an account credits."""
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        credits.grant(db, account.id, number)
        _record(db, "accounts grant", account.id, account.id, credits=number)
        db.refresh(account)
    console.print(f"{email} has {account.credits} credits")


@accounts_app.command("take")
def take_credits(
    email: str,
    number: Annotated[int, typer.Argument(metavar="CREDITS", min=1, max=MAX_CREDITS)],
    data: Data = None,
) -> None:
    """Take credits back that an account has not spent."""
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        credits.take(db, account.id, number)
        _record(db, "accounts take", account.id, account.id, credits=number)
        db.refresh(account)
    console.print(f"{email} has {account.credits} credits")


@accounts_app.command("ledger")
def print_ledger(
    email: str,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries.")] = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the credits that an account was given, has paid and got back, the newest first."""
    with open_database(data) as database, database.read() as db:
        rows = ledger_of(db, account_of(db, email).id, limit)
    if as_json:
        keys = ("time", "kind", "credits", "render")
        values = [(iso_time(row.created_at), row.kind, row.credits, row.render_id) for row in rows]
        print(json.dumps([dict(zip(keys, value, strict=True)) for value in values]))
        return
    print_table(
        ("TIME (UTC)", "KIND", "CREDITS", "RENDER"),
        [[f"{row.created_at:%Y-%m-%d %H:%M:%S}", row.kind, f"{row.credits:+}", row.render_id or ""] for row in rows],
    )


@accounts_app.command("bind")
def bind_account(
    email: str,
    tag: Annotated[str | None, typer.Argument(help="A tag of nodes. Without it, all nodes may work for it.")] = None,
    data: Data = None,
) -> None:
    """Let only nodes with a tag draw and finish an account's renders, also those that wait already."""
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        account.node_tag = tag
        _record(db, "accounts bind", account.id, account.id, tag=tag)
        found = nodes.with_tag(db, tag) if tag else []
    if not tag:
        console.print(f"All nodes may work for {email}")
        return
    console.print(f"Only nodes with the tag {tag} work for {email}: {', '.join(found) or 'none has joined yet'}")


@accounts_app.command("delete")
def delete_account(
    email: str,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Delete an account permanently, with its keys, models, overlays, renders and their files.

    Its entries in the ledger of credits stay, without the account.
    """
    logs.configure("error")
    with open_database(data) as database:
        if dry_run:
            with database.read() as db:
                account = account_of(db, email)
                found, left = holdings.of(db, account.id), 0
        else:
            with database.write() as db:
                account = account_of(db, email)
                found, files = erasure.erase(db, account.id, OVER)
                _record(db, "accounts delete", account.id, account.id, **found._asdict())
            left = discard(open_storage(settings_with(data=data)), files)
    if as_json:
        print(json.dumps({"id": account.id, "deleted": not dry_run, **found._asdict(), "filesLeft": left}))
        return
    numbers = ", ".join(f"{number} {what}" for what, number in found._asdict().items())
    console.print(f"{'Would delete' if dry_run else 'Deleted'} {email} ({account.id}): {numbers}")
    if left:
        console.print(f"{left} files could not be removed yet: the reaper tries again")


@keys_app.command("create")
def create_key(
    email: str,
    name: Annotated[
        str | None, typer.Option(help=f"What the key is for, at most {MAX_KEY_NAME_LENGTH} characters.")
    ] = None,
    scopes: Annotated[
        str | None, typer.Option(help=f"Comma-separated scopes of the key: {', '.join(accounts.SCOPES)}. Default: all.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="Expiry: after 12h, 30d or 8w, or at 2030-01-31 (UTC). Default: never.")
    ] = None,
    data: Data = None,
) -> None:
    """Create an API key and print it; it cannot be shown again."""
    allowed = None if scopes is None else _parse_scopes(scopes)
    if name is not None and not 0 < len(name) <= MAX_KEY_NAME_LENGTH:
        fail(f"--name must have 1 to {MAX_KEY_NAME_LENGTH} characters")
    with open_database(data) as database, database.write() as db:
        expires_at = None if expires is None else _parse_expiry(expires, clock.now(db))
        account = account_of(db, email)
        key = accounts.create_key(db, account, name=name, scopes=allowed, expires_at=expires_at)
        row = keys_of(db, account)[-1]
        _record(db, "keys create", row.id, account.id, scopes=row.scopes, expires=optional_iso_time(row.expires_at))
    print(key)


@keys_app.command("list")
def list_keys(email: str, data: Data = None, as_json: Json = False) -> None:
    """List an account's keys by their ids and names; the keys themselves cannot be shown."""
    with open_database(data) as database, database.read() as db:
        at = clock.now(db)
        rows = [_key_json(row, at) for row in keys_of(db, account_of(db, email))]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        times = [f"{name} {row[name]}" for name in ("created", "expires", "used") if row[name]]
        name = f"  {row['name']}" if row["name"] else ""
        console.print(f"{row['id']}{name}  {row['state']}  {', '.join(times)}  {','.join(row['scopes'])}", markup=False)


@keys_app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="The key itself, or its id from `farm keys list`.")], data: Data = None
) -> None:
    """Revoke an API key permanently."""
    with open_database(data) as database:
        try:
            with database.write() as db:
                row = accounts.revoke_key(db, key)
                _record(db, "keys revoke", row.id, row.account_id)
        except FarmError:
            fail("This is not a key of this farm, or it was already revoked")
    console.print("Revoked")


def _record(db: Session, action: str, target: str, account_id: str, **details: object) -> None:
    audit.record(db, operator(), action, target, account_id=account_id, **details)


def _account_json(row: Account) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "admin": row.is_admin,
        "credits": row.credits,
        "suspended": row.suspended_at is not None,
        "nodeTag": row.node_tag,
    }


def _key_json(row: Key, at: datetime) -> dict[str, Any]:
    expired = row.expires_at is not None and row.expires_at <= at
    return {
        "id": row.id,
        "name": row.name,
        "state": "revoked" if row.revoked_at else "expired" if expired else "active",
        "created": optional_iso_time(row.created_at),
        "expires": optional_iso_time(row.expires_at),
        "used": optional_iso_time(row.last_used_at),
        "scopes": ["all"] if row.scopes is None else row.scopes,
    }


def _parse_scopes(text: str) -> list[str]:
    """Scopes from a comma-separated list."""
    scopes = [part.strip() for part in text.split(",")]
    for scope in scopes:
        if scope not in accounts.SCOPES:
            fail(f"There is no scope {scope!r}. Scopes: {', '.join(accounts.SCOPES)}")
    return scopes


def _parse_expiry(text: str, at: datetime) -> datetime:
    """The time in UTC of --expires: a duration from `at`, or a date with an optional time."""
    try:
        if match := re.fullmatch(r"([0-9]+)([smhdw])", text):
            return at + timedelta(**{UNITS[match[2]]: int(match[1])})
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        fail(f"--expires must be a duration such as 12h, 30d or 8w, or a date such as 2030-01-31, not {text!r}")

"""`farm keys`: the API keys of accounts."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from farm.accounts import accounts, administration
from farm.commands.shared import (
    Data,
    Email,
    Json,
    account_of,
    console,
    duration,
    fail,
    open_database,
    operator,
    optional_iso_time,
    print_json,
    print_table,
)
from farm.db import audit, clock
from farm.db.accounts import keys_of
from farm.db.tables import Key
from farm.errors import FarmError

app = typer.Typer(no_args_is_help=True, help="The API keys of accounts.")


@app.command("create")
def create_key(
    email: Email,
    name: Annotated[
        str | None, typer.Option(help=f"What the key is for, at most {accounts.MAX_KEY_NAME_LENGTH} characters.")
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
    if name is not None and not 0 < len(name) <= accounts.MAX_KEY_NAME_LENGTH:
        fail(f"--name must have 1 to {accounts.MAX_KEY_NAME_LENGTH} characters")
    with open_database(data) as database, database.write() as db:
        expires_at = None if expires is None else _parse_expiry(expires, clock.now(db))
        account = account_of(db, email)
        key = accounts.create_key(db, account, name=name, scopes=allowed, expires_at=expires_at)
        row = keys_of(db, account)[-1]
        details = {"scopes": row.scopes, "expires": optional_iso_time(row.expires_at)}
        audit.record(db, operator(), "keys create", row.id, account_id=account.id, **details)
    print(key)


@app.command("list")
def list_keys(email: Email, data: Data = None, as_json: Json = False) -> None:
    """List an account's keys by their ids and names; the keys themselves cannot be shown."""
    with open_database(data) as database, database.read() as db:
        at = clock.now(db)
        rows = [_key_json(row, at) for row in keys_of(db, account_of(db, email))]
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print(f"There is no key yet. Create one: farm keys create {email}")
        return
    print_table(
        ("ID", "NAME", "STATE", "CREATED (UTC)", "EXPIRES (UTC)", "USED (UTC)", "SCOPES"),
        [
            [
                row["id"],
                row["name"] or "",
                row["state"],
                *(_to_the_minute(row[time]) for time in ("created", "expires", "used")),
                ", ".join(row["scopes"]),
            ]
            for row in rows
        ],
    )


@app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key itself, or its id from `farm keys list`.")],
    data: Data = None,
) -> None:
    """Revoke an API key permanently."""
    with open_database(data) as database:
        try:
            with database.write() as db:
                administration.revoke_key(db, key, operator())
        except FarmError:
            fail("This is not a key of this farm, or it was already revoked")
    console.print("Revoked")


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


def _to_the_minute(time: str | None) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}" if time else "never"


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
        if (after := duration(text)) is not None:
            return at + after
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        fail(f"--expires must be a duration such as 12h, 30d or 8w, or a date such as 2030-01-31, not {text!r}")

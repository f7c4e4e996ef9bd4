"""`farm audit`: which operator did what, when, and to what."""

import json
from typing import Annotated, Any

import typer

from farm.commands.shared import Data, Json, fail, iso_time, open_database, print_json, print_table
from farm.db import audit
from farm.db.accounts import find_account
from farm.db.tables import AuditEntry


def print_audit(
    account: Annotated[
        str | None, typer.Option(metavar="EMAIL|ID", help="Only entries about this account, which may be deleted.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries.")] = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List what operators have changed, the newest first."""
    with open_database(data) as database, database.read() as db:
        found = find_account(db, account) if account else None
        entries = audit.newest(db, account_id=found.id if found else account, limit=limit)
        emails = audit.emails(db, entries)
    if account and not found and not entries:
        fail(
            f"There is no account for {account}, and no entry about an account with this id. A deleted account has"
            " its id only: see `farm audit`"
        )
    if as_json:
        print_json([_entry_json(entry, emails) for entry in entries])
        return
    print_table(
        ("TIME (UTC)", "WHO", "WHAT", "ON", "ACCOUNT", "DETAILS"),
        [
            [
                f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
                emails.get(entry.actor, entry.actor),
                entry.action,
                entry.target,
                emails.get(entry.account_id or "", entry.account_id or ""),
                ", ".join(f"{name} {json.dumps(value)}" for name, value in entry.details.items() if value is not None),
            ]
            for entry in entries
        ],
    )


def _entry_json(entry: AuditEntry, emails: dict[str, str]) -> dict[str, Any]:
    return {
        "time": iso_time(entry.created_at),
        "who": emails.get(entry.actor, entry.actor),
        "what": entry.action,
        "on": entry.target,
        "account": entry.account_id,
        "email": emails.get(entry.account_id or ""),
        "details": entry.details,
    }

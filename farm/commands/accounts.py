"""`farm accounts`: accounts and their credits."""

from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from farm import logs
from farm.accounts import accounts, administration, credits, passwords, sessions
from farm.accounts.administration import MAX_CREDITS
from farm.commands.shared import (
    Data,
    Email,
    Json,
    account_of,
    console,
    fail,
    iso_time,
    open_database,
    operator,
    print_json,
    print_table,
    settings_with,
)
from farm.db import audit, holdings, nodes
from farm.db.accounts import all_accounts, ledger_of
from farm.db.tables import Account
from farm.errors import NoCredits
from farm.scheduling.render_status import OVER
from farm.storage import discard, open_storage

app = typer.Typer(no_args_is_help=True, help="Accounts of the farm's clients.")


@app.command("create")
def create_account(
    email: Email,
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
    if as_json:
        print_json(_account_json(account))
    else:
        console.print(line)


@app.command("password")
def set_password(email: str, data: Data = None) -> None:
    """Give an account a new random password for the portal, and print it. All its sessions end.

    It cannot be shown again; the account's owner can change it in the portal.
    """
    password = passwords.generate()
    digest = passwords.digest(password)
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        sessions.change_password(db, account, digest)
        _record(db, "accounts password", account.id, account.id)
    print(password)


@app.command("invite")
def invite(
    credits_: Annotated[int, typer.Option("--credits", min=0, max=MAX_CREDITS, help="Initial credits.")] = credits.FREE,
    data: Data = None,
) -> None:
    """Let one visitor sign up in the portal within two weeks, and print the path of the page for that."""
    with open_database(data) as database, database.write() as db:
        code = sessions.invite(db, credits_)
        audit.record(db, operator(), "accounts invite", "", credits=credits_)
    print(f"/portal/sign-up?invitation={code}")


@app.command("list")
def list_accounts(data: Data = None, as_json: Json = False) -> None:
    """List all accounts."""
    with open_database(data) as database, database.read() as db:
        rows = all_accounts(db)
    if as_json:
        print_json([_account_json(row) for row in rows])
        return
    if not rows:
        console.print("There is no account yet. Create one: farm accounts create you@example.com")
        return
    print_table(("ID", "EMAIL", "CREDITS", "NOTE"), [[row.id, row.email, str(row.credits), _note(row)] for row in rows])


@app.command("suspend")
def suspend_account(email: Email, data: Data = None) -> None:
    """Suspend an account: all its keys are refused until it is resumed.

    Its queued work waits; chunks that a worker has begun are finished.
    """
    with open_database(data) as database, database.write() as db:
        administration.suspend(db, account_of(db, email), operator())
    console.print(f"Suspended {email}")


@app.command("resume")
def resume_account(email: Email, data: Data = None) -> None:
    """Lift the suspension of an account: its queued work shares the farm from now on."""
    with open_database(data) as database, database.write() as db:
        administration.resume(db, account_of(db, email), operator())
    console.print(f"Resumed {email}")


@app.command("grant")
def grant_credits(
    email: Email,
    number: Annotated[int, typer.Argument(metavar="CREDITS", min=1, max=MAX_CREDITS)],
    data: Data = None,
) -> None:
    """Give an account credits."""
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        administration.grant(db, account, number, operator())
        db.refresh(account)
    console.print(f"{email} has {account.credits} credits")


@app.command("take")
def take_credits(
    email: Email,
    number: Annotated[int, typer.Argument(metavar="CREDITS", min=1, max=MAX_CREDITS)],
    data: Data = None,
) -> None:
    """Take credits back that an account has not spent."""
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        try:
            administration.take(db, account, number, operator())
        except NoCredits:
            fail(f"{email} has only {account.credits} credits left")
        db.refresh(account)
    console.print(f"{email} has {account.credits} credits")


@app.command("ledger")
def print_ledger(
    email: Email,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries.")] = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the credits that an account was given, paid and got back, and those taken back, the newest first."""
    with open_database(data) as database, database.read() as db:
        rows = ledger_of(db, account_of(db, email).id, limit)
    if as_json:
        keys = ("time", "kind", "credits", "render")
        values = [(iso_time(row.created_at), row.kind, row.credits, row.render_id) for row in rows]
        print_json([dict(zip(keys, value, strict=True)) for value in values])
        return
    print_table(
        ("TIME (UTC)", "KIND", "CREDITS", "RENDER"),
        [[f"{row.created_at:%Y-%m-%d %H:%M:%S}", row.kind, f"{row.credits:+}", row.render_id or ""] for row in rows],
    )


@app.command("bind")
def bind_account(
    email: Email,
    tag: Annotated[str | None, typer.Argument(metavar="TAG", help="A tag of nodes: `farm worker --tags`.")] = None,
    data: Data = None,
) -> None:
    """Let only nodes with a tag work for an account, also on what waits already; or, without a tag, all nodes."""
    with open_database(data) as database, database.write() as db:
        account = account_of(db, email)
        try:
            accounts.bind(db, account, tag)
        except ValueError as error:
            fail(str(error))
        _record(db, "accounts bind", account.id, account.id, tag=account.node_tag)
        found = nodes.with_tag(db, account.node_tag) if account.node_tag else []
    if account.node_tag is None:
        console.print(f"All nodes work for {email}")
        return
    names = ", ".join(found) or "none has joined yet"
    console.print(f"Only nodes with the tag {account.node_tag} work for {email}: {names}")


@app.command("delete")
def delete_account(
    email: Email,
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
                found, files = administration.erase(db, account, OVER, operator())
            left = discard(open_storage(settings_with(data=data)), files)
    if as_json:
        print_json({"id": account.id, "deleted": not dry_run, **found._asdict(), "filesLeft": left})
        return
    numbers = ", ".join(f"{number} {what}" for what, number in found._asdict().items())
    console.print(f"{'Would delete' if dry_run else 'Deleted'} {email} ({account.id}): {numbers}")
    if left:
        console.print(f"{left} files could not be removed yet: the reaper tries again")


def _record(db: Session, action: str, target: str, account_id: str, **details: object) -> None:
    audit.record(db, operator(), action, target, account_id=account_id, **details)


def _note(row: Account) -> str:
    notes = ["admin"] * row.is_admin + ["suspended"] * bool(row.suspended_at)
    return ", ".join(notes + ([f"bound to {row.node_tag}"] if row.node_tag else []))


def _account_json(row: Account) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "admin": row.is_admin,
        "credits": row.credits,
        "suspended": row.suspended_at is not None,
        "nodeTag": row.node_tag,
    }

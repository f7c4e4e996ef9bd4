"""Shared by the `farm` commands: common options, settings, the database, output and failure."""

import json
import os
import pwd
import re
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from farm.db.accounts import find_account
from farm.db.session import Database
from farm.db.tables import Account
from farm.errors import WrongVersion
from farm.settings import Settings

console = Console(highlight=False, soft_wrap=True, markup=False)  # what it prints may hold brackets
PLAIN_WIDTH = 160  # characters per line of a table when stdout is not a terminal
MAX_OPERATOR_LENGTH = 255
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Data = Annotated[Path | None, typer.Option("--data", help="Folder of the database and files (or FARM_DATA).")]
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The account's email address.")]
RenderId = Annotated[str, typer.Argument(metavar="RENDER", help="The render's id, from `farm renders list`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BackgroundFile = Annotated[
    Path | None,
    typer.Option("--background", exists=True, dir_okay=False, help="A picture behind the model, instead of bgColor."),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="A render setting, key=value. Repeatable.")]


def settings_with(**overrides: Any) -> Settings:
    """The settings of the environment, overridden by the arguments that are not None."""
    return Settings(**{name: value for name, value in overrides.items() if value is not None})


@contextmanager
def open_database(data: Path | None) -> Iterator[Database]:
    """The database, closed at the end of the block. Raises WrongVersion if `farm db upgrade` must be run first."""
    settings = settings_with(data=data)
    database = Database(settings.database)
    try:
        if not settings.database_url and database.version() is None:
            raise WrongVersion(
                f"{settings.data} holds no farm: name another with --data or FARM_DATA, or run `farm db upgrade`"
            )
        database.check_version()
        yield database
    finally:
        database.close()


def fail(message: str, code: int = 1) -> NoReturn:
    """Print the problem on stderr and exit with `code`."""
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def account_of(db: Session, email: str) -> Account:
    """The account with this address; ends the command if there is none."""
    account = find_account(db, email)
    if account is None:
        fix = f"Create it: farm accounts create {email}" if "@" in email else "Name it by its email address"
        fail(f"There is no account for {email}. {fix}")
    return account


def operator() -> str:
    """Who runs this command, for the audit: the user and the host, and who became that user by sudo."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        user = str(os.getuid())
    sudo = os.environ.get("SUDO_USER")
    return f"{f'{sudo} as ' if sudo else ''}{user}@{socket.gethostname()}"[:MAX_OPERATOR_LENGTH]


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of plain text under titles; the first column is never broken."""
    table = table_of(titles)
    for row in rows:
        table.add_row(*row)
    print_rich(table)


def table_of(titles: Sequence[str]) -> Table:
    """An empty table. Where the terminal is narrow, cells go over several lines and lose nothing."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    for number, title in enumerate(titles):
        table.add_column(title, no_wrap=number == 0, overflow="fold")
    return table


def print_rich(table: Table) -> None:
    """Print a table, as wide as the terminal; brackets in its cells are plain text."""
    output = console if console.is_terminal else Console(width=PLAIN_WIDTH, markup=False)
    output.print(table)


def print_json(value: object) -> None:
    """Print one line of JSON."""
    console.print(json.dumps(value))


def iso_time(time: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return time.isoformat(timespec="seconds")


def optional_iso_time(time: datetime | None) -> str | None:
    return iso_time(time) if time else None


def duration(text: str) -> timedelta | None:
    """The length of a time such as 12h, 30d or 8w; None if the text is none."""
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    return timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None

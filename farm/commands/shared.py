"""What all `farm` commands share: where the data lies, the database, and how a command speaks and fails."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from farm.db.session import Database
from farm.settings import Settings

console = Console(highlight=False, soft_wrap=True)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of database and files (or FARM_DATA).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_with(**overrides: Any) -> Settings:
    """The environment's settings with what the command line overrides."""
    return Settings(**{name: value for name, value in overrides.items() if value is not None})


@contextmanager
def database(data: Path | None) -> Iterator[Database]:
    """The database, migrated."""
    opened = Database(settings_with(data=data).database)
    try:
        opened.upgrade()
        yield opened
    finally:
        opened.close()


def fail(message: str, code: int = 1) -> NoReturn:
    """Tell what is wrong on stderr and end with this exit code."""
    print(message, file=sys.stderr)
    raise typer.Exit(code)

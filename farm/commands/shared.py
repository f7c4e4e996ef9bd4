"""Shared by the `farm` commands: common options, settings, the database, output and failure."""

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

Data = Annotated[Path | None, typer.Option("--data", help="Folder of the database and files (or FARM_DATA).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A render setting, key=value. Repeatable.")]


def settings_with(**overrides: Any) -> Settings:
    """The settings of the environment, overridden by the arguments that are not None."""
    return Settings(**{name: value for name, value in overrides.items() if value is not None})


@contextmanager
def open_database(data: Path | None) -> Iterator[Database]:
    """The database, migrated; closed at the end of the block."""
    database = Database(settings_with(data=data).database)
    try:
        database.upgrade()
        yield database
    finally:
        database.close()


def fail(message: str, code: int = 1) -> NoReturn:
    """Print the problem on stderr and exit with `code`."""
    print(message, file=sys.stderr)
    raise typer.Exit(code)

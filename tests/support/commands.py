"""The `farm` command, called within the tests' own process."""

import re
from pathlib import Path

from typer.testing import CliRunner, Result

from farm.cli import app


def farm(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: str | Path) -> str:
    """The output of a successful command."""
    result = farm(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str | Path) -> str:
    """The line that a command prints on stderr when it fails as expected."""
    result = farm(*arguments)
    assert result.exit_code == 1, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit), "otherwise a traceback"
    [line] = result.stderr.strip().split("\n")
    assert "Traceback" not in result.output
    return line


def rows_of(*arguments: str | Path) -> list[list[str]]:
    """The cells of the table that a successful command prints, without the empty ones."""
    lines = [line.strip() for line in done(*arguments).splitlines()]
    return [re.split(r" {2,}", line) for line in lines if line][2:]

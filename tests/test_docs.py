"""The pages in docs/ tell what the code does: their tables and their calls are compared with it."""

import json
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import typer.core
import typer.main

from api.app import create_app
from docs import tables
from farm import cli
from farm.commands.templates import app as templates_app
from farm.nodes.registry import State
from farm.processes import exit_codes
from farm.scheduling.render_status import NEXT, ORDER
from farm.settings import Settings
from farm.templates import BUILT_IN, contract

ROOT = Path(__file__).parents[1]
CLIENT = (ROOT / "docs" / "client.md").read_text()
OPERATORS = (ROOT / "docs" / "operators.md").read_text()
ARTISTS = (ROOT / "docs" / "artists.md").read_text()
TEMPLATES = (ROOT / "blender_scenes" / "README.md").read_text()
README = (ROOT / "README.md").read_text()


def table(page: str, *head: str) -> list[list[str]]:
    """The rows of the table with these column titles."""
    _, found, rest = page.partition(f"| {' | '.join(head)} |\n")
    assert found, f"no table {head}"
    lines = rest.splitlines()[1:]
    rows = lines[: next((number for number, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize("page", tables.TABLES)
def test_the_tables_are_what_the_code_says(page: str) -> None:
    """After a change: python -m docs.tables"""
    assert tables.written(page) == (ROOT / "docs" / page).read_text()


class TestClientPage:
    def test_shows_the_way_of_a_render(self) -> None:
        ways = {row[0]: row[1] for row in table(CLIENT, "Status", "Next", "Meaning")}
        places = [*ORDER, "error", "failed"]
        assert ways == {
            f"`{status}`": ", ".join(f"`{way}`" for way in sorted(ways, key=places.index))
            for status, ways in NEXT.items()
        }

    def test_names_addresses_that_are_there(self) -> None:
        there = {re.sub(r"\{.*?\}", ":id", path) for path in create_app(Settings()).openapi()["paths"]}
        calls = re.findall(r"\$PLINTH(/[\w/-]+)", CLIENT) + re.findall(r"[A-Z] /v1(/[\w/:-]+)", CLIENT)
        assert len(calls) > 8
        for call in calls:
            assert "/v1" + re.sub(r"/[A-Za-z0-9]{12}\b", "/:id", call) in there

    @pytest.mark.parametrize("example", re.findall(r"```json\n(.*?)```", CLIENT, re.DOTALL))
    def test_its_examples_are_json_in_an_envelope(self, example: str) -> None:
        assert set(json.loads(example)) <= {"data", "meta", "error"}


class TestOperatorsPage:
    def test_shows_every_command(self) -> None:
        root = typer.main.get_command(cli.app)
        assert isinstance(root, typer.core.TyperGroup)
        assert [name for name in root.commands if f"farm {name}" not in OPERATORS + README] == []

    def test_names_every_state_of_a_node_and_every_code_that_a_worker_ends_with(self) -> None:
        states = [row[0].strip("`") for row in table(OPERATORS, "state", "what it means")]
        assert states == list(get_args(State))
        codes = [int(row[0]) for row in table(OPERATORS, "exit code", "when", "start it again?")]
        assert codes == [exit_codes.STOPPED, 1, exit_codes.REFUSED]


class TestTemplatesPage:
    def test_names_every_view_transform(self) -> None:
        assert all(f"`{name}`" in TEMPLATES for name in (contract.DISPLAY, *contract.VIEW_TRANSFORMS))

    def test_shows_a_toml_as_it_is(self) -> None:
        [shown] = re.findall(r"```toml\n(.*?)```", TEMPLATES, re.DOTALL)
        assert tomllib.loads(shown) == tomllib.loads((BUILT_IN / "studio.toml").read_text())


class TestArtistsPage:
    def test_shows_every_command(self) -> None:
        commands = typer.main.get_command(templates_app)
        assert isinstance(commands, typer.core.TyperGroup)
        assert [name for name in commands.commands if f"farm templates {name}" not in ARTISTS] == []

    def test_its_pictures_are_there_and_small(self) -> None:
        pictures = re.findall(r"!\[\]\((.*?)\)", ARTISTS)
        assert pictures
        assert all((ROOT / "docs" / picture).stat().st_size < 150_000 for picture in pictures)

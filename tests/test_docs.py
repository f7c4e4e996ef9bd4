"""The pages in docs/ agree with the code: tables, API paths, commands, links."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import typer.core
import typer.main

from api.app import create_app
from docs import tables
from docs.log_events import log_events
from docs.tables import table
from farm import cli
from farm.commands.templates import app as templates_app
from farm.nodes.registry import State
from farm.processes import exit_codes
from farm.scheduling.render_status import NEXT, ORDER
from farm.settings import Settings
from farm.templates import BUILT_IN, contract

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CLIENT = (DOCS / "client.md").read_text()
OPERATE = (DOCS / "operate.md").read_text()
OPERATOR_PAGES = "".join((DOCS / page).read_text() for page in ("install.md", "operate.md", "troubleshoot.md"))
ARTISTS = (DOCS / "artists.md").read_text()
TEMPLATES = (ROOT / "blender_scenes" / "README.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "blender_scenes/*.md", "clients/python/*.md")
    for path in ROOT.glob(pattern)
)
CODE_FOLDERS = ("api", "benchmarks", "blender_scenes", "camera_paths", "docker", "examples", "farm", "tests")
READERS_FILES = {"camera_paths/pendulum.py", "docker/.env"}  # that a reader of the docs creates
SYMPTOM_TABLE = ("Symptom", "Cause", "What the farm does", "What you do")
MESSAGES_OF_OTHERS = {"No space left on device"}


@pytest.mark.parametrize("page", tables.TABLES)
def test_tables_agree_with_the_code(page: str) -> None:
    """After a change: python -m docs.tables"""
    assert tables.generated(page) == (DOCS / page).read_text()


def test_replaces_the_rows_of_one_table() -> None:
    page = "| Event | Level |\n| --- | --- |\n| `stale` | info |\n\ntext\n"
    assert tables.replaced(page, ("Event", "Level"), [["`new`", ""]]) == page.replace(
        "| `stale` | info |", "| `new` | |"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
class TestLinks:
    def test_lead_to_files_and_headings(self, page: Path) -> None:
        broken = []
        for target in links(page):
            name, _, fragment = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (fragment and fragment not in anchors(file)):
                broken.append(target)
        assert broken == []

    def test_paths_in_code_spans_exist(self, page: Path) -> None:
        """Paths below the folders of code, such as `farm/settings.py`."""
        paths = set(re.findall(rf"`((?:{'|'.join(CODE_FOLDERS)})/[\w@./-]*)`", page.read_text()))
        assert {path for path in paths if not (ROOT / path).exists()} <= READERS_FILES


def links(page: Path) -> Iterator[str]:
    """The targets of a page's links and pictures that are in this repository."""
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return (target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", target))


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub makes of a page's headings."""
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TestClientPage:
    def test_shows_the_status_transitions(self) -> None:
        documented = {row[0]: row[1] for row in table(CLIENT, "Status", "Next", "Meaning")}
        order = [*ORDER, "error", "failed"]
        assert documented == {
            f"`{status}`": ", ".join(f"`{step}`" for step in sorted(steps, key=order.index))
            for status, steps in NEXT.items()
        }

    def test_names_existing_api_paths(self) -> None:
        paths = {re.sub(r"\{.*?\}", ":id", path) for path in create_app(Settings()).openapi()["paths"]}
        calls = re.findall(r"\$PLINTH(/[\w/-]+)", CLIENT) + re.findall(r"[A-Z] /v1(/[\w/:-]+)", CLIENT)
        assert len(calls) > 8
        for call in calls:
            assert "/v1" + re.sub(r"/[A-Za-z0-9]{12}\b", "/:id", call) in paths

    @pytest.mark.parametrize("example", re.findall(r"```json\n(.*?)```", CLIENT, re.DOTALL))
    def test_examples_are_json_in_an_envelope(self, example: str) -> None:
        assert set(json.loads(example)) <= {"data", "meta", "error"}


class TestOperatorPages:
    def test_show_every_command(self) -> None:
        root = typer.main.get_command(cli.app)
        assert isinstance(root, typer.core.TyperGroup)
        assert [name for name in root.commands if f"farm {name}" not in OPERATOR_PAGES + README] == []

    def test_name_every_state_of_a_node(self) -> None:
        assert [row[0].strip("`") for row in table(OPERATE, "State", "Meaning")] == list(get_args(State))

    def test_name_every_exit_code_of_a_worker(self) -> None:
        codes = [int(row[0]) for row in table(OPERATE, "Exit code", "Reason", "Restart?")]
        assert codes == [exit_codes.STOPPED, 1, exit_codes.REFUSED]


def test_readme_shows_every_package() -> None:
    [tree] = re.findall(r"```\n(api/.*?)```", README, re.DOTALL)
    shown = re.findall(r"^( *)([\w/]+)/ ", tree, re.MULTILINE)
    packages = {path.parent.name for path in (ROOT / "farm").glob("*/__init__.py")}
    assert {name for indent, name in shown if indent} == packages
    assert [name for indent, name in shown if not indent and not (ROOT / name).is_dir()] == []


def test_architecture_shows_the_layers_that_are_enforced() -> None:
    """The table's layer 1 is the lowest; the contract in pyproject.toml lists the highest first."""
    documented: dict[int, set[str]] = {}
    for layer, packages, _ in table((DOCS / "architecture.md").read_text(), "Layer", "Package", "Responsibility"):
        names = {path.removesuffix(".py").strip("/").replace("/", ".") for path in re.findall(r"`(.*?)`", packages)}
        documented.setdefault(int(layer), set()).update(names)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")  # the first one
    assert documented == {
        number: set(packages.split(" | ")) for number, packages in enumerate(reversed(layers), start=1)
    }


def test_symptoms_quote_messages_of_the_code() -> None:
    """Code spans of the symptoms that are sentences, or keys of log events."""
    code = "".join(path.read_text() for folder in ("api", "farm") for path in (ROOT / folder).rglob("*.py"))
    symptoms = [row[0] for row in table((DOCS / "troubleshoot.md").read_text(), *SYMPTOM_TABLE)]
    quoted = set(re.findall(r"`((?!farm )[\w-]+(?: [^`]+|_[a-z_]+))`", " ".join(symptoms))) - MESSAGES_OF_OTHERS
    assert len(quoted) > 8
    assert [text for text in quoted if text not in code] == []


class TestLogEvents:
    """`docs.tables` generates the table; only its last column is written by hand."""

    def test_each_has_a_documented_meaning(self) -> None:
        rows = table(OPERATE, "Event", "Level", "Fields", "Meaning")
        assert [row[0] for row in rows if not row[3]] == []

    def test_are_found_with_levels_and_fields(self, tmp_path: Path) -> None:
        (tmp_path / "module.py").write_text(
            'log.warning("node_lost", node=name)\n'
            'log.error("node_lost", chunk=chunk, exc_info=True)\n'
            'log.exception("reaper_failed")\n'
            'logging.info("not_ours")\n'
        )
        events = log_events([tmp_path])
        assert list(events) == ["node_lost", "reaper_failed"]
        assert events["node_lost"].levels == {"warning", "error"}
        assert events["node_lost"].fields == ["node", "chunk"]
        assert events["reaper_failed"].levels == {"error"}

    def test_refuses_a_key_that_is_computed(self, tmp_path: Path) -> None:
        (tmp_path / "module.py").write_text("log.info(message)\n")
        with pytest.raises(ValueError, match="string literal"):
            log_events([tmp_path])


class TestTemplatesPage:
    def test_names_every_view_transform(self) -> None:
        assert all(f"`{name}`" in TEMPLATES for name in (contract.DISPLAY, *contract.VIEW_TRANSFORMS))

    def test_shows_a_toml_of_a_built_in_template(self) -> None:
        [shown] = re.findall(r"```toml\n(.*?)```", TEMPLATES, re.DOTALL)
        assert tomllib.loads(shown) == tomllib.loads((BUILT_IN / "studio.toml").read_text())


class TestArtistsPage:
    def test_shows_every_command(self) -> None:
        commands = typer.main.get_command(templates_app)
        assert isinstance(commands, typer.core.TyperGroup)
        assert [name for name in commands.commands if f"farm templates {name}" not in ARTISTS] == []

    def test_pictures_are_small(self) -> None:
        pictures = re.findall(r"!\[\]\((.*?)\)", ARTISTS)
        assert pictures
        assert all((DOCS / picture).stat().st_size < 150_000 for picture in pictures)

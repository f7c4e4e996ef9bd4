"""The commands `farm nodes ...`."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import now
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.rendering.verdict import Candidate, Verdict
from farm.settings import Settings


@pytest.fixture(autouse=True)
def farm_of_this_test(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_DATA", str(settings.data))


@pytest.fixture
def box(database: Database, gpu: Facts) -> Facts:
    box = replace(gpu, name="box", tags=["studio"])
    registry.join(database, box)
    return box


def farm(*words: str) -> Result:
    return CliRunner().invoke(app, ["nodes", *words])


def listed() -> list[dict[str, object]]:
    return list(json.loads(farm("list", "--json").stdout))


class TestList:
    def test_explains_how_to_start_a_node(self, database: Database) -> None:  # noqa: ARG002
        assert "farm worker" in farm("list").stdout
        assert listed() == []

    @pytest.mark.usefixtures("box")
    def test_shows_the_state_of_a_node(self) -> None:
        shown = farm("list").stdout
        for words in ("box", "idle", "eevee (A card)", "16 GiB", "isolation", "0.1.0, bpy 4.5.15", "studio", "s ago"):
            assert words in shown
        [row] = listed()
        assert (row["name"], row["state"], row["hasGpu"], row["tags"]) == ("box", "idle", True, ["studio"])
        assert row["sandbox"] == "isolation"

    def test_shows_what_was_measured_of_its_engines(self, box: Facts, database: Database) -> None:
        fit, out = Candidate("eevee", {"share": 0.123}, {"share": 40.0}), Candidate("cycles-hip", reason="no device")
        measured = Verdict("eevee", (fit, out), is_sound=True).candidates_json()
        registry.join(database, replace(box, measured_engines=measured))
        assert "eevee (A card), 0.12 s a share frame" in " ".join(farm("list").stdout.split())
        assert listed()[0]["measuredEngines"] == [
            {"engine": "eevee", "seconds": {"share": 0.123}, "psnr": {"share": 40.0}, "reason": None},
            {"engine": "cycles-hip", "seconds": {}, "psnr": {}, "reason": "no device"},
        ]

    def test_shows_the_reason_of_a_quarantine(self, box: Facts, database: Database) -> None:
        with database.write() as db:
            node = nodes.named(db, box.name)
            node.quarantined_at, node.quarantine_reason = now(), "3 models failed here"
        assert "quarantined: 3 models failed here" in " ".join(farm("list").stdout.split())

    @pytest.mark.parametrize(
        ("offset", "shown"), [(3600.0, "clock 3600 s fast"), (-90.0, "clock 90 s slow"), (0.5, "")]
    )
    def test_shows_a_clock_that_is_off(self, box: Facts, database: Database, offset: float, shown: str) -> None:
        with database.write() as db:
            nodes.named(db, box.name).clock_offset = offset
        listing = " ".join(farm("list").stdout.split())
        assert shown in listing
        assert ("clock" in listing) == bool(shown)
        assert listed()[0]["clockOffset"] == offset


class TestChanges:
    def test_drain_and_resume_a_node(self, box: Facts) -> None:
        assert farm("drain", box.name).exit_code == 0
        assert [row["state"] for row in listed()] == ["draining"]
        assert farm("resume", box.name).exit_code == 0
        assert [row["state"] for row in listed()] == ["idle"]

    def test_resume_says_which_nodes_must_be_started(self, box: Facts, database: Database) -> None:
        assert farm("resume", box.name).stdout == "box may work again\n"
        with database.write() as db:
            nodes.named(db, box.name).seen_at = now() - timedelta(minutes=1)
        assert farm("resume", box.name).stdout == "box may work again, and is not running: start it\n"

    def test_forget_only_nodes_that_are_gone(self, box: Facts, database: Database) -> None:
        refused = farm("forget", box.name)
        assert refused.exit_code == 1
        assert "alive" in refused.stderr
        with database.write() as db:
            nodes.named(db, box.name).seen_at = now() - timedelta(minutes=1)
        assert [row["state"] for row in listed()] == ["gone"]
        assert farm("forget", box.name).exit_code == 0
        assert listed() == []

    def test_report_an_unknown_node_in_one_line(self, database: Database) -> None:  # noqa: ARG002
        refused = farm("drain", "unknown")
        assert refused.exit_code == 1
        assert refused.stderr == "There is no node unknown. `farm nodes list` shows all\n"

"""The pages of nodes: what they show, and that they do what `farm nodes` does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from farm.db import clock, nodes
from farm.db.session import Database
from farm.db.tables import Account, Asset, Model, Node, Render
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.rendering.verdict import Candidate, Verdict
from farm.scene.shot import ENGINES, Engine
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant, ClaimedChunk
from tests.support.operator import audited, shown
from tests.support.portal import Browser

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def claimed(database: Database, node: str, render: Render) -> ClaimedChunk:
    """The chunk of the render that the node draws."""
    assert render
    with database.write() as db:
        chunk = leases.claim_next(db, Claimant(node, "eevee"), seconds=60)
        assert chunk
        leases.renew(db, chunk.id, chunk.attempt, frames_done=7, seconds=60)
        registry.record_frame(db, node, chunk.id, 6)
    return chunk


@pytest.mark.on_both_databases
class TestList:
    def test_explains_how_to_start_a_node(self, operator: Browser) -> None:
        assert "farm worker" in operator.get("/operator/nodes").text

    @pytest.mark.usefixtures("node")
    def test_shows_the_machine_and_the_state(self, operator: Browser) -> None:
        text = shown(operator, "/operator/nodes")
        for words in ("box", "Idle", "EEVEE, A card", "16 GiB", "isolation"):
            assert words in text

    @pytest.mark.parametrize("engine", ENGINES)
    def test_shows_every_engine_and_what_was_measured_of_it(
        self, operator: Browser, database: Database, gpu: Facts, engine: Engine
    ) -> None:
        fit, out = Candidate(engine, {"share": 0.123}, {"share": 40.0}), Candidate("cycles-hip", reason="no device")
        measured = Verdict(engine, (fit, out), is_sound=True).candidates_json()
        registry.join(database, replace(gpu, name="box", engine=engine, measured_engines=measured))
        label = engine.replace("-", " by ")
        assert label in shown(operator, "/operator/nodes").lower()
        text = shown(operator, "/operator/nodes/box")
        for words in ("0.12 s a share frame", "no device"):
            assert words in text

    def test_shows_what_a_node_draws(self, operator: Browser, claimed: ClaimedChunk, render: Render) -> None:
        page = operator.get("/operator/nodes").text
        assert f'href="/operator/renders/{render.id}">a.glb' in page
        assert f"7 of {claimed.frames}" in page
        assert "Working" in page

    def test_shows_the_still_of_the_render_or_of_another_of_its_model(
        self, operator: Browser, claimed: ClaimedChunk, render: Render, database: Database
    ) -> None:
        assert claimed
        assert "thumb-still" not in operator.get("/operator/nodes").text
        with database.write() as db:
            other = Render(
                account_id=render.account_id, model_id=render.model_id, shot_id=render.shot_id, settings=render.settings
            )
            db.add(other)
            db.flush()
            db.add(_still(other.id))
        assert f"/operator/renders/{other.id}/files/thumb-still" in operator.get("/operator/nodes").text
        with database.write() as db:
            db.add(_still(render.id))
        assert f"/operator/renders/{render.id}/files/thumb-still" in operator.get("/operator/nodes").text

    def test_shows_frames_a_second_and_outcomes(
        self, operator: Browser, claimed: ClaimedChunk, database: Database, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            leases.complete(db, doorbell, claimed, frames_done=claimed.frames)
        text = shown(operator, "/operator/nodes")
        assert "1 done" in text
        assert f"{claimed.frames / 3600:.2f}" in text

    def test_filters_by_state(self, operator: Browser, node: str) -> None:
        assert f"/operator/nodes/{node}" in operator.get("/operator/nodes?state=idle").text
        assert f"/operator/nodes/{node}" not in operator.get("/operator/nodes?state=working").text
        assert f"/operator/nodes/{node}" in operator.get("/operator/nodes?state=x").text

    def test_shows_a_clock_that_is_off(self, operator: Browser, node: str, database: Database) -> None:
        with database.write() as db:
            nodes.named(db, node).clock_offset = -90.0
        assert "clock -90 s" in shown(operator, "/operator/nodes")


class TestNode:
    def test_shows_the_reason_of_a_quarantine_and_the_failed_models(
        self, operator: Browser, node: str, model: Model, database: Database
    ) -> None:
        with database.write() as db:
            row, at = nodes.named(db, node), clock.now(db)
            row.quarantined_at, row.quarantine_reason = at, f"It has {SCRIPT}"
            row.failures = [[model.sha256, model.account_id, str(at), f"Blender {SCRIPT} ended"]]
            db.get_one(Model, model.id).title = f"Chair {SCRIPT}"
        page = operator.get(f"/operator/nodes/{node}").text
        assert SCRIPT not in page
        assert page.count("&lt;script&gt;") >= 3
        assert f"/operator/work?q={model.id}" in page

    @pytest.mark.usefixtures("claimed")
    def test_shows_its_work(self, operator: Browser, node: str) -> None:
        text = shown(operator, f"/operator/nodes/{node}")
        assert "Last frame: 6" in text
        assert "attempt 1" in text


@pytest.mark.on_both_databases
class TestChanges:
    def test_drain_and_resume_a_node(self, operator: Browser, admin: Account, node: str, database: Database) -> None:
        assert operator.post(f"/operator/nodes/{node}/drain").status_code == 303
        assert "Draining" in shown(operator, f"/operator/nodes/{node}")
        assert operator.post(f"/operator/nodes/{node}/resume").status_code == 303
        assert "Idle" in shown(operator, f"/operator/nodes/{node}")
        assert audited(database) == [(admin.id, "nodes resume", node), (admin.id, "nodes drain", node)]

    def test_forget_only_a_node_that_is_gone(self, operator: Browser, node: str, database: Database) -> None:
        response = operator.post(f"/operator/nodes/{node}/forget")
        assert response.status_code == 409
        assert "is alive" in response.text
        assert audited(database) == []
        with database.write() as db:
            nodes.named(db, node).seen_at = clock.now(db) - timedelta(hours=1)
        assert "Gone" in shown(operator, "/operator/nodes")
        assert operator.post(f"/operator/nodes/{node}/forget").headers["location"] == "/operator/nodes"
        with database.read() as db:
            assert nodes.find(db, node) is None

    def test_end_a_quarantine(self, operator: Browser, node: str, database: Database) -> None:
        with database.write() as db:
            row = nodes.named(db, node)
            row.quarantined_at, row.quarantine_reason = clock.now(db), "x"
        operator.post(f"/operator/nodes/{node}/resume")
        with database.read() as db:
            assert db.get_one(Node, row.id).quarantined_at is None

    def test_of_an_unknown_node_are_not_found(self, operator: Browser) -> None:
        assert operator.post("/operator/nodes/x/drain").status_code == 404


def _still(render_id: str) -> Asset:
    return Asset(render_id=render_id, kind="thumb-still", storage_key="x", content_type="image/jpeg", size=1)

"""The shares of previews and drawing, and of accounts: no account's uploads stop another account's render."""

import time
from collections import Counter
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from farm.cli import app
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.session import Database
from farm.db.tables import Chunk, Model, Render
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import ClaimedChunk
from farm.scheduling.submit import MAX_WAITING_PREVIEWS
from farm.settings import Settings
from farm.worker import jobs
from farm.worker.context import MAX_PREVIEW_SECONDS, MAX_PREVIEWS_IN_A_ROW, WorkerContext
from tests.support.api import uploaded
from tests.support.clients import Client
from tests.support.glb import glb

pytestmark = pytest.mark.on_both_databases


@pytest.fixture
def node(database: Database, settings: Settings, cpu: Facts, tmp_path: Path) -> WorkerContext:
    """The only node of the farm."""
    registry.join(database, cpu)
    return WorkerContext("cpu", settings, "cycles", tmp_path / "sock", tmp_path)


def claim(node: WorkerContext, database: Database, doorbell: Doorbell) -> ClaimedChunk:
    """The chunk that the node claims next, completed."""
    chunk = jobs.claim(node, database)
    assert chunk
    with database.write() as db:
        assert leases.complete(db, doorbell, chunk, frames_done=chunk.frames) is not None
    return chunk


def order(database: Database, model: Model, settings: Settings, doorbell: Doorbell, times: int = 1) -> list[Render]:
    with database.write() as db:
        requests = [(model, RenderSettings(length=3, rotate_y=number)) for number in range(times)]
        return submit.renders(db, model.account_id, requests, settings, doorbell)


def preview(database: Database, model: Model, settings: Settings, doorbell: Doorbell, times: int = 1) -> list[Render]:
    with database.write() as db:
        return [submit.preview(db, model, settings, doorbell) for _ in range(times)]


def priorities(database: Database, renders: list[Render]) -> list[int]:
    with database.read() as db:
        return [db.query(Chunk).filter_by(shot_id=render.shot_id).one().priority for render in renders]


class TestPreviews:
    def test_leave_every_fourth_chunk_to_drawing(
        self, node: WorkerContext, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        order(database, model, settings, doorbell, times=4)
        drawn = []
        for _ in range(16):
            preview(database, model, settings, doorbell)
            drawn.append(claim(node, database, doorbell))
        drawing = [chunk.priority for chunk in drawn if chunk.priority != FINISHING]
        assert drawing[:8] == 2 * ([PREVIEW] * MAX_PREVIEWS_IN_A_ROW + [DRAWING])

    def test_that_take_long_leave_every_second_chunk_to_drawing(
        self,
        node: WorkerContext,
        database: Database,
        model: Model,
        settings: Settings,
        doorbell: Doorbell,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        order(database, model, settings, doorbell, times=3)
        began, drawn = time.monotonic(), []
        for number in range(6):
            monkeypatch.setattr(time, "monotonic", lambda at=began + number * 2 * MAX_PREVIEW_SECONDS: at)
            preview(database, model, settings, doorbell)
            with database.write() as db:
                db.query(Chunk).filter_by(priority=FINISHING).delete()
            drawn.append(claim(node, database, doorbell).priority)
        assert drawn == 3 * [PREVIEW, DRAWING]

    def test_come_first_again_after_a_pause(
        self, node: WorkerContext, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        preview(database, model, settings, doorbell, times=MAX_PREVIEWS_IN_A_ROW)
        while jobs.claim(node, database):
            pass
        preview(database, model, settings, doorbell)
        order(database, model, settings, doorbell)
        assert claim(node, database, doorbell).priority == PREVIEW

    def test_come_before_a_render_when_none_was_drawn_lately(
        self, node: WorkerContext, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        order(database, model, settings, doorbell, times=2)
        assert claim(node, database, doorbell).priority == DRAWING
        preview(database, model, settings, doorbell)
        assert claim(node, database, doorbell).priority == PREVIEW

    def test_take_the_turns_of_their_account_beyond_the_first(
        self, node: WorkerContext, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        waiting = preview(database, model, settings, doorbell, times=MAX_WAITING_PREVIEWS + 2)
        assert priorities(database, waiting) == [PREVIEW] * MAX_WAITING_PREVIEWS + [DRAWING] * 2
        claim(node, database, doorbell)
        assert priorities(database, preview(database, model, settings, doorbell)) == [PREVIEW]

    def test_of_a_batch_come_before_the_renders_of_their_models(
        self, node: WorkerContext, database: Database, api: TestClient, doorbell: Doorbell
    ) -> None:
        for number in range(2 * MAX_WAITING_PREVIEWS):
            uploaded(api, glb(b"%d" % number), settings='{"length": 3}')
        drawn = []
        while chunk := jobs.claim(node, database):
            with database.write() as db:
                leases.complete(db, doorbell, chunk, frames_done=chunk.frames)
                drawn += [(chunk.model_key, chunk.tier)] if chunk.kind == "draw" else []
        assert len(drawn) >= 4 * MAX_WAITING_PREVIEWS
        for model, tier in drawn:
            assert drawn.index((model, "preview")) <= drawn.index((model, tier))


class TestResumedAccount:
    def test_shares_the_farm_with_those_that_went_on(
        self,
        node: WorkerContext,
        database: Database,
        model: Model,
        client: Client,
        stranger: Client,
        settings: Settings,
        doorbell: Doorbell,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("FARM_DATA", str(settings.data))
        monkeypatch.setenv("FARM_DATABASE_URL", database.url)
        with database.write() as db:
            other = Model(account_id=stranger.account.id, original_name="b", format="glb", file_size=1, sha256="1" * 64)
            db.add(other)

        def drawn(number: int) -> list[str]:
            """The accounts of the chunks that are drawn next."""
            accounts: list[str] = []
            while len(accounts) < number:
                chunk = claim(node, database, doorbell)
                accounts += [chunk.account_id] if chunk.priority == DRAWING else []
            return accounts

        order(database, model, settings, doorbell, times=10)
        assert CliRunner().invoke(app, ["accounts", "suspend", client.account.email]).exit_code == 0
        order(database, other, settings, doorbell, times=10)
        assert set(drawn(5)) == {stranger.account.id}
        for _ in range(2):  # the second one changes nothing
            assert CliRunner().invoke(app, ["accounts", "resume", client.account.email]).exit_code == 0
        shares = Counter(drawn(6))
        assert shares[stranger.account.id] == pytest.approx(3, abs=1)


class TestAnotherAccount:
    def test_gets_its_render_during_an_endless_loop_of_uploads(
        self, node: WorkerContext, database: Database, api: TestClient, stranger: Client, doorbell: Doorbell
    ) -> None:
        """Each upload costs nothing, as its pending render is deleted and refunded at once."""

        def upload_and_delete(number: int) -> None:
            data = uploaded(api, glb(b"%d" % number), headers=stranger.headers)
            assert api.delete(f"/v1/renders/{data['renderId']}", headers=stranger.headers).status_code == 200

        uploads = iter(range(1000))
        for _ in range(10):
            upload_and_delete(next(uploads))
        render_id = uploaded(api, settings='{"length": 3}')["renderId"]
        for _ in range(24):  # each claim is followed by two more uploads
            claim(node, database, doorbell)
            upload_and_delete(next(uploads))
            upload_and_delete(next(uploads))
            if api.get(f"/v1/renders/{render_id}").json()["data"]["status"] != "pending":
                return
        pytest.fail("the render still waits")

    def test_gets_its_render_from_a_node_that_isolates_tenants(
        self,
        database: Database,
        settings: Settings,
        cpu: Facts,
        tmp_path: Path,
        api: TestClient,
        stranger: Client,
        doorbell: Doorbell,
    ) -> None:
        """The host that has previews of one account refuses the render of another: it keeps its turn."""
        registry.join(database, cpu)
        isolating = settings.model_copy(update={"isolate_tenants": True})
        node = WorkerContext("cpu", isolating, "cycles", tmp_path / "sock", tmp_path)
        for number in range(MAX_PREVIEWS_IN_A_ROW + 1):
            data = uploaded(api, glb(b"%d" % number), headers=stranger.headers)
            assert api.delete(f"/v1/renders/{data['renderId']}", headers=stranger.headers).status_code == 200
        own = uploaded(api, settings='{"length": 3}')
        with database.write() as db:
            db.query(Chunk).filter(Chunk.account_id == api_account(db, own), Chunk.priority == PREVIEW).delete()
        for _ in range(MAX_PREVIEWS_IN_A_ROW):
            assert claim(node, database, doorbell).priority == PREVIEW
            with database.write() as db:
                db.query(Chunk).filter_by(priority=FINISHING).delete()
        with pytest.raises(jobs.OtherTenant):
            jobs.claim(node, database)
        with database.read() as db:
            render = db.get_one(Render, own["renderId"])
            assert (render.status, render.shot.engine) == ("pending", None)
            assert {chunk.state for chunk in render.shot.chunks} == {"queued"}
        node.forget_tenant()  # the worker has replaced the host
        assert claim(node, database, doorbell).shot_id == render.shot_id


def api_account(db: Session, own: dict[str, str]) -> str:
    """The account of an upload."""
    return db.get_one(Render, own["renderId"]).account_id

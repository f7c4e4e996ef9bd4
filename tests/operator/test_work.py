"""The pages of work and of a render: search, timeline, attempts, logs, and what `farm renders` does to it."""

import re

import pytest
from fastapi.testclient import TestClient

from farm.accounts import accounts
from farm.db import attempt_logs
from farm.db.session import Database
from farm.db.tables import Account, Chunk, Model, Render
from farm.errors import RenderFailed
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant, ClaimedChunk
from tests.support.api import credits_of
from tests.support.finished_renders import Finish
from tests.support.operator import audited, shown
from tests.support.portal import Browser

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def claimed(database: Database, render: Render) -> ClaimedChunk:
    """A chunk of the render that a node draws."""
    assert render
    with database.write() as db:
        chunk = leases.claim_next(db, Claimant("box", "cycles"), seconds=60)
        assert chunk
    return chunk


@pytest.mark.on_both_databases
class TestWork:
    @pytest.mark.usefixtures("claimed")
    def test_shows_what_waits_and_runs(self, operator: Browser) -> None:
        text = shown(operator, "/operator/work")
        assert re.search(r"Drawing \d+ waiting 1 running", text)
        assert re.search(r"ada@example.com \d+ 1 \d+ s ago", text)

    def test_finds_renders_by_id_account_model_status_and_node(
        self, operator: Browser, render: Render, claimed: ClaimedChunk, database: Database
    ) -> None:
        assert claimed
        with database.write() as db:
            accounts.create(db, "else@example.org")
            db.get_one(Model, render.model_id).title = "Oak chair"
        found = {
            f"q={render.id}": True,
            f"q={render.account_id}": True,
            f"q={render.model_id}": True,
            "q=ADA@": True,
            "q=oak": True,
            "q=a.glb": True,
            "q=else@example.org": False,
            "q=Xz7pQ4w8nR2k": False,
            "status=progress": True,
            "status=done": False,
            "node=box": True,
            "node=other": False,
            "q=oak&status=error": False,
        }
        for query, expected in found.items():
            assert (f"/operator/renders/{render.id}" in operator.get(f"/operator/work?{query}").text) == expected, query

    def test_keeps_strings_as_text(self, operator: Browser, render: Render, database: Database) -> None:
        with database.write() as db:
            db.get_one(Model, render.model_id).title = SCRIPT
            db.get_one(Render, render.id).error_message = SCRIPT
            db.get_one(Render, render.id).status = "error"
            db.get_one(Account, render.account_id).email = f"a{SCRIPT}@example.com"
        for path in ("work", f"work?q={SCRIPT}", f"renders/{render.id}", "accounts", f"accounts/{render.account_id}"):
            page = operator.get(f"/operator/{path}").text
            assert SCRIPT not in page, path
            assert "&lt;script&gt;" in page, path

    def test_has_pages(self, operator: Browser, render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
        assert render
        monkeypatch.setattr("api.operator.work.PAGE_SIZE", 1)
        assert 'rel="next"' not in operator.get("/operator/work").text
        assert 'rel="prev"' not in operator.get("/operator/work?offset=1").text


@pytest.mark.on_both_databases
class TestRender:
    def test_shows_its_attempts_on_a_timeline_with_their_logs(
        self, operator: Browser, render: Render, claimed: ClaimedChunk, database: Database, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            attempt_logs.store(db, claimed.id, claimed.attempt, "box", f"Blender says {SCRIPT}")
            leases.fail(db, doorbell, claimed.id, claimed.attempt, RenderFailed(f"No {SCRIPT}"), max_attempts=3)
        page = operator.get(f"/operator/renders/{render.id}").text
        assert 'class="failed"' in page
        assert "failed on box" in page
        assert SCRIPT not in page
        [path] = [part.partition('"')[0] for part in page.split('href="') if "/attempts/" in part.partition('"')[0]]
        log = operator.get(path).text
        assert "Blender says &lt;script&gt;" in log
        assert "No &lt;script&gt;" in log

    def test_has_no_log_of_another_render(
        self, operator: Browser, render: Render, claimed: ClaimedChunk, database: Database
    ) -> None:
        with database.write() as db:
            attempt_logs.store(db, claimed.id, claimed.attempt, "box", "x")
            db.flush()
            [[entry], *_] = [
                entries for _, entries in attempt_logs.of_render(db, db.get_one(Render, render.id)) if entries
            ]
        assert operator.get(f"/operator/renders/{render.id}/attempts/{entry.id}").status_code == 200
        assert operator.get(f"/operator/renders/Xz7pQ4w8nR2k/attempts/{entry.id}").status_code == 404

    def test_polls_itself_until_it_is_over(self, operator: Browser, render: Render, finished: Finish) -> None:
        path = f"/operator/renders/{render.id}"
        assert f'hx-get="{path}"' in operator.get(path).text
        finished(render.id)
        part = operator.get(path, headers={"HX-Request": "true"}).text
        assert "<html" not in part
        assert "hx-get" not in part

    def test_sends_its_files(self, operator: Browser, browser: Browser, render: Render, finished: Finish) -> None:
        content = finished(render.id)
        path = f"/operator/renders/{render.id}/files/poster-full"
        assert operator.get(path).content == content["poster-full"]
        assert browser.get(path).status_code == 403
        assert operator.get(f"/operator/renders/{render.id}/files/x").status_code == 404


@pytest.mark.on_both_databases
class TestChanges:
    def test_cancel_and_retry_a_render(
        self, operator: Browser, admin: Account, render: Render, database: Database, api: TestClient
    ) -> None:
        paid = credits_of(api)
        path = f"/operator/renders/{render.id}"
        assert operator.post(f"{path}/cancel").status_code == 303
        assert "Cancelled by the farm's operator" in shown(operator, path)
        assert credits_of(api) > paid
        response = operator.post(f"{path}/cancel")
        assert response.status_code == 409
        assert 'role="alert"' in response.text
        assert operator.post(f"{path}/retry").status_code == 303
        assert credits_of(api) == paid
        assert audited(database) == [(admin.id, "renders retry", render.id), (admin.id, "renders cancel", render.id)]

    def test_put_a_render_first(
        self, operator: Browser, admin: Account, render: Render, database: Database, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            other = Chunk(shot_id=render.shot_id, tier="share", frames=1)
            leases.queue(db, doorbell, [other], admin.id, 2)
            other.turn = -5
        assert operator.post(f"/operator/renders/{render.id}/priority").status_code == 303
        with database.read() as db:
            turns = [chunk.turn for chunk in db.get_one(Render, render.id).shot.chunks]
        assert min(turns) < -5
        assert audited(database) == [(admin.id, "renders priority", render.id)]

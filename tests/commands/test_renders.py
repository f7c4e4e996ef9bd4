"""The commands `farm renders ...`, and what they do to credits, chunks and workers."""

import json
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from farm.accounts import credits
from farm.cli import app
from farm.db import attempt_logs
from farm.db.chunks import DRAWING
from farm.db.session import Database
from farm.db.tables import Account, Asset, Chunk, Model, Overlay, Render, Shot, now
from farm.errors import BadModel, DiskFull, FarmError
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, render_status, submit
from farm.scheduling.doorbell import Doorbell, queue
from farm.settings import Settings
from tests.support.chunks import as_claimed, claimed
from tests.support.clients import INITIAL_CREDITS, Client, new_client
from tests.support.consistency import assert_books_balance
from tests.support.finished_renders import Finish

pytestmark = pytest.mark.on_both_databases


@pytest.fixture(autouse=True)
def farm_of_this_test(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATA": settings.data,
        "DATABASE_URL": database.url,
        "REDIS_URL": settings.redis_url,
    }.items():
        monkeypatch.setenv(f"FARM_{name}", str(value))


def farm(*words: str) -> Result:
    return CliRunner().invoke(app, ["renders", *words])


def done(*words: str) -> str:
    result = farm(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(*words: str) -> str:
    result = farm(*words)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), "otherwise a traceback"
    [line] = result.stderr.strip().split("\n")
    return line


def listed(*words: str) -> list[str]:
    return [row["id"] for row in json.loads(done("list", *words, "--json"))]


def balance(database: Database, client: Client) -> int:
    with database.read() as db:
        return db.get_one(Account, client.account.id).credits


def failed(database: Database, render: Render, doorbell: Doorbell, error: FarmError | None = None) -> None:
    """Let a render end as an error, as a node does whose attempts all failed."""
    with database.write() as db:
        chunk = db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id).order_by(Chunk.first_frame)).first()
        assert chunk
        held = claimed(db, chunk, worker="box")
        leases.fail(db, doorbell, held.id, held.attempt, error or DiskFull(), max_attempts=1)


@pytest.fixture
def second(database: Database, settings: Settings, doorbell: Doorbell) -> Render:
    """A render of another account."""
    other = new_client(database, "eve@example.com")
    with database.write() as db:
        model = Model(account_id=other.account.id, original_name="b.glb", format="glb", file_size=1, sha256="1" * 64)
        db.add(model)
        db.flush()
        return submit.render(db, model, RenderSettings(quality="4k"), settings, doorbell)


class TestList:
    def test_shows_the_renders_of_all_accounts_newest_first(
        self, render: Render, second: Render, database: Database, doorbell: Doorbell
    ) -> None:
        failed(database, render, doorbell)
        shown = done("list")
        for words in (
            "ada@example.com",
            "eve@example.com",
            "pending",
            "error",
            "4k",
            "box",
            "A disk of the farm",
            "s ago",
        ):
            assert words in " ".join(shown.split())
        assert listed() == [second.id, render.id]

    def test_filters_by_status_account_and_node(
        self, render: Render, second: Render, database: Database, doorbell: Doorbell
    ) -> None:
        failed(database, render, doorbell)
        assert listed("--status", "error") == [render.id]
        assert listed("--status", "error", "--status", "pending") == [second.id, render.id]
        assert listed("--account", "eve@example.com") == [second.id]
        assert listed("--node", "box") == [render.id]
        assert listed("--node", "elsewhere") == []
        assert listed("--limit", "1") == [second.id]
        assert "1 of 2; --limit shows more" in done("list", "--limit", "1")

    def test_filters_by_error_and_age(
        self, render: Render, second: Render, database: Database, doorbell: Doorbell
    ) -> None:
        failed(database, render, doorbell)
        with database.write() as db:
            db.get_one(Render, second.id).created_at -= timedelta(hours=2)
        assert listed("--error", "disk of") == [render.id]
        assert listed("--older-than", "1h") == [second.id]
        assert listed("--older-than", "0s") == [render.id, second.id]
        for text in ("1", "soon", "-1h", "999999w"):
            assert "length of time such as 90m" in refused("list", f"--older-than={text}")

    def test_shows_the_nodes_that_hold_its_chunks_now(self, render: Render, database: Database) -> None:
        with database.write() as db:
            first, last = db.scalars(select(Chunk).order_by(Chunk.first_frame)).all()[:2]
            first.worker, first.state = "before", "done"
            claimed(db, last, worker="now")
        [row] = json.loads(done("list", "--json"))
        assert (row["id"], row["nodes"]) == (render.id, ["now"])

    def test_is_empty_in_a_new_farm(self) -> None:
        assert listed() == []
        assert farm("list").exit_code == 0

    def test_explains_a_wrong_filter_in_one_line(self) -> None:
        assert "poster-done" in refused("list", "--status", "broken")
        assert "no account" in refused("list", "--account", "none@example.com")


class TestShow:
    def test_shows_the_settings_chunks_and_credits(
        self, render: Render, database: Database, doorbell: Doorbell
    ) -> None:
        shown = json.loads(done("show", render.id, "--json"))
        assert (shown["credits"], shown["model"]["name"], shown["settings"]["aspect"]) == (1, "a.glb", "16:9")
        assert "frames 0 to" in shown["chunks"][0]
        failed(database, render, doorbell)
        shown = json.loads(done("show", render.id, "--json"))
        assert (shown["credits"], shown["status"], shown["nodes"]) == (0, "error", ["box"])
        text = done("show", render.id)
        assert "ada@example.com" in text
        assert "failed, attempt 1" in text

    def test_reports_an_unknown_render_in_one_line(self) -> None:
        for command in ("show", "cancel", "retry"):
            assert "There is no render Xz7pQ4w8nR2k" in refused(command, "Xz7pQ4w8nR2k")


class TestCancel:
    def test_ends_a_render_and_refunds_its_credits(self, render: Render, client: Client, database: Database) -> None:
        assert balance(database, client) == INITIAL_CREDITS - 1
        done("cancel", render.id)
        assert balance(database, client) == INITIAL_CREDITS
        with database.read() as db:
            row = db.get_one(Render, render.id)
            assert (row.status, row.error_message) == ("error", "Cancelled by the farm's operator")
            assert set(db.scalars(select(Chunk.state))) == {"failed"}
            assert_books_balance(db)

    def test_takes_the_chunk_from_its_worker(self, render: Render, database: Database) -> None:
        with database.write() as db:
            chunk = claimed(db, db.scalars(select(Chunk)).first())  # type: ignore[arg-type]
            attempt = as_claimed(chunk)
        done("cancel", render.id)
        with database.write() as db:
            assert not leases.renew(db, attempt.id, attempt.attempt, frames_done=1, seconds=30)
            assert leases.claim_next(db, leases.Claimant("w", "cycles"), seconds=30) is None

    def test_leaves_other_renders_of_the_shot_alone(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff")]
            one, other = submit.renders(db, model.account_id, requests, settings, doorbell)
            assert one.shot_id == other.shot_id
        done("cancel", one.id)
        with database.read() as db:
            assert db.get_one(Render, other.id).status == "pending"
            assert set(db.scalars(select(Chunk.state))) == {"queued"}
        done("cancel", other.id)
        with database.read() as db:
            assert set(db.scalars(select(Chunk.state))) == {"failed"}

    @pytest.mark.parametrize("status", ["done", "error"])
    def test_refuses_a_render_that_is_over(
        self, render: Render, client: Client, database: Database, status: str, finished: Finish, doorbell: Doorbell
    ) -> None:
        if status == "done":
            finished(render.id)
        else:
            failed(database, render, doorbell)
        before = balance(database, client)
        assert f"its status is {status}" in refused("cancel", render.id)
        assert balance(database, client) == before


class TestRetry:
    def test_queues_a_failed_render_again_and_charges_it(
        self, render: Render, client: Client, database: Database, doorbell: Doorbell, redis: Redis
    ) -> None:
        failed(database, render, doorbell)
        redis.flushall()
        assert balance(database, client) == INITIAL_CREDITS
        done("retry", render.id)
        assert balance(database, client) == INITIAL_CREDITS - 1
        with database.read() as db:
            row = db.get_one(Render, render.id)
            assert (row.status, row.error_message, row.retries) == ("pending", None, 1)
            assert {(chunk.state, chunk.attempt, chunk.failures) for chunk in row.shot.chunks} == {("queued", 1, 0)}
            assert list(db.scalars(select(Shot.id))) == [row.shot_id] != [render.shot_id]
            assert len(queue(DRAWING, redis)) == len(row.shot.chunks)

    def test_charges_and_refunds_each_time(
        self, render: Render, client: Client, database: Database, doorbell: Doorbell
    ) -> None:
        for _ in range(3):
            with database.read() as db:
                failed(database, db.get_one(Render, render.id), doorbell)
            assert balance(database, client) == INITIAL_CREDITS
            done("retry", render.id)
            assert balance(database, client) == INITIAL_CREDITS - 1
        with database.write() as db:
            credits.refund(db, render.id)
            credits.refund(db, render.id)
        assert balance(database, client) == INITIAL_CREDITS, "the second refund of a charge changes nothing"

    def test_finishes_a_render_that_had_been_drawn(
        self, render: Render, database: Database, doorbell: Doorbell, finished: Finish
    ) -> None:
        with database.write() as db:
            row = db.get_one(Render, render.id)
            for chunk in row.shot.chunks:
                chunk.state = "done"
            finish = Chunk(shot_id=row.shot_id, render_id=row.id, kind="finish", tier="share")
            leases.queue(db, doorbell, [finish], row.account_id, DRAWING)
            claimed(db, finish)
            leases.fail(db, doorbell, finish.id, 1, DiskFull(), max_attempts=1)
            attempt_logs.store(db, finish.id, 1, "w", "disk full")
        done("retry", render.id)
        finished(render.id)
        with database.read() as db:
            row = db.get_one(Render, render.id)
            assert (row.status, row.error_message) == ("done", None)
            assert db.scalars(select(Asset.render_id)).first() == render.id

    def test_keeps_a_shot_that_another_render_uses(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff")]
            one, other = submit.renders(db, model.account_id, requests, settings, doorbell)
            render_status.advance(db, one, "error", message="its background")
        done("retry", one.id)
        with database.read() as db:
            assert db.get_one(Render, other.id).shot_id == other.shot_id != db.get_one(Render, one.id).shot_id

    def test_waits_for_a_worker_that_draws_shared_frames(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff")]
            one, _ = submit.renders(db, model.account_id, requests, settings, doorbell)
            chunk = claimed(db, one.shot.chunks[0])
        done("cancel", one.id)
        assert "try again in a minute" in refused("retry", one.id)
        with database.write() as db:
            assert leases.complete(db, doorbell, as_claimed(db.get_one(Chunk, chunk.id)), frames_done=1) is not None
        done("retry", one.id)

    def test_repeats_a_failed_preview_without_a_charge(
        self, model: Model, client: Client, database: Database, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            preview = submit.preview(db, model, settings, doorbell)
            [priority] = [chunk.priority for chunk in preview.shot.chunks]
        failed(database, preview, doorbell, BadModel("no mesh"))
        with database.read() as db:
            assert db.get_one(Model, model.id).failed_at
        done("retry", preview.id)
        assert balance(database, client) == INITIAL_CREDITS
        with database.read() as db:
            row = db.get_one(Render, preview.id)
            assert (row.status, row.shot.spec["tier"]) == ("pending", "preview")
            assert [chunk.priority for chunk in row.shot.chunks] == [priority]
            assert db.get_one(Model, model.id).failed_at is None

    def test_refuses_a_render_that_is_no_error(self, render: Render) -> None:
        assert "status of" in refused("retry", render.id)

    def test_refuses_an_account_without_credits_and_changes_nothing(
        self, render: Render, database: Database, doorbell: Doorbell
    ) -> None:
        failed(database, render, doorbell)
        with database.write() as db:
            db.execute(update(Account).values(credits=0))
        assert "1 needed, 0 left" in refused("retry", render.id)
        with database.read() as db:
            row = db.get_one(Render, render.id)
            assert (row.status, row.shot_id, row.retries) == ("error", render.shot_id, 0)

    def test_refuses_a_render_without_its_model_or_overlay(
        self, render: Render, model: Model, database: Database, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            overlay = Overlay(account_id=model.account_id, layer="background", alignment="center", deleted_at=now())
            overlay.storage_key, overlay.content_type = "overlays/a.png", "image/png"
            overlay.width = overlay.height = overlay.file_size = 1
            db.add(overlay)
            db.flush()
            row = db.get_one(Render, render.id)
            row.settings = {**row.settings, "bgImageId": overlay.id}
        failed(database, render, doorbell)
        assert "bgImageId" in refused("retry", render.id)
        with database.write() as db:
            db.get_one(Model, model.id).deleted_at = now()
        assert "model" in refused("retry", render.id)

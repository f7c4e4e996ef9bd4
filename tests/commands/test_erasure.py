"""`farm accounts delete` removes all rows and files of an account, and nothing of any other."""

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import (
    Account,
    Asset,
    Chunk,
    Cleanup,
    Key,
    LedgerEntry,
    Model,
    Overlay,
    Render,
    Shot,
    Table,
    now,
)
from farm.errors import RenderFailed
from farm.nodes import quarantine, registry
from farm.nodes.facts import Facts
from farm.scheduling import leases
from farm.scheduling.cleanup import clean_up
from farm.settings import Settings
from farm.storage import Storage
from tests.intake.scans import picture
from tests.support.api import assert_error, count, stored, upload, uploaded
from tests.support.chunks import claimed
from tests.support.clients import Client
from tests.support.finished_renders import Finish
from tests.support.glb import glb
from tests.support.polling import until
from tests.support.s3 import environment

pytestmark = [pytest.mark.on_both_databases, pytest.mark.on_both_storages]

OWNED: list[type[Table]] = [Account, Key, Model, Overlay, Shot, Render, Chunk, Asset]


@pytest.fixture(autouse=True)
def farm_of_this_test(
    settings: Settings, database: Database, s3_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"FARM_DATA": str(settings.data), "FARM_DATABASE_URL": database.url}
    for name, value in (names | environment(s3_settings)).items():
        monkeypatch.setenv(name, value)


def delete(*words: str) -> Result:
    return CliRunner().invoke(app, ["accounts", "delete", *words])


def work_of(api: TestClient, client: Client, finished: Finish) -> None:
    """A model, a published overlay, a finished render and waiting ones."""
    data = uploaded(api, glb(client.account.email.encode()), headers=client.headers)
    finished(data["renderId"])
    api.post("/v1/overlays", files={"file": ("a.png", picture())}, headers=client.headers)
    api.post("/v1/renders", json={"modelId": data["modelId"]}, headers=client.headers)


def clean_up_all(database: Database, storage: Storage) -> None:
    """Let the reaper do all planned cleanups."""
    with database.write() as db:
        db.execute(update(Cleanup).values(due_at=now() - timedelta(seconds=1)))
    clean_up(database, storage)


def rows(database: Database) -> dict[str, int]:
    return {table.__name__: count(database, table) for table in OWNED}


class TestDelete:
    def test_removes_all_rows_and_files_of_the_account_only(
        self,
        api: TestClient,
        client: Client,
        stranger: Client,
        database: Database,
        storage: Storage,
        finished: Finish,
    ) -> None:
        work_of(api, stranger, finished)
        before, files = rows(database), stored(storage)
        assert len(files) > 5
        with database.read() as db:
            entries = len(db.scalars(select(LedgerEntry)).all())
        work_of(api, client, finished)
        result = delete("ada@example.com", "--json")
        assert result.exit_code == 0, (result.output, result.exception)
        assert stored(storage) == files
        assert rows(database) == {name: number - (name in ("Account", "Key")) for name, number in before.items()}
        found = json.loads(result.stdout)
        assert (found["id"], found["deleted"], found["filesLeft"]) == (client.account.id, True, 0)
        assert (found["models"], found["overlays"], found["renders"]) == (1, 1, 3)
        assert_error(api.get("/v1/models"), "unauthorized", 401)
        with database.read() as db:
            left = db.scalars(select(LedgerEntry)).all()
            assert len(left) == entries + 2
            assert {entry.account_id for entry in left} == {stranger.account.id, None}

    def test_shows_what_would_go_and_changes_nothing_in_a_dry_run(
        self, api: TestClient, client: Client, database: Database, storage: Storage, finished: Finish
    ) -> None:
        work_of(api, client, finished)
        before, files = rows(database), stored(storage)
        result = delete("ada@example.com", "--dry-run")
        assert result.exit_code == 0, (result.output, result.exception)
        for words in ("Would delete ada@example.com", "1 models", "1 overlays", "3 renders", f"{len(files)} files"):
            assert words in result.stdout
        assert (rows(database), stored(storage)) == (before, files)

    def test_takes_the_work_from_workers_and_removes_what_they_still_store(
        self, api: TestClient, client: Client, database: Database, storage: Storage
    ) -> None:
        render_id = uploaded(api, headers=client.headers)["renderId"]
        with database.write() as db:
            chunk = claimed(db, db.scalars(select(Chunk)).all()[0])
        assert delete("ada@example.com").exit_code == 0
        with database.write() as db:
            assert not leases.renew(db, chunk.id, chunk.attempt, frames_done=1, seconds=30)
        storage.put(f"renders/{render_id}/1/segment.mp4", Path(__file__))
        clean_up_all(database, storage)
        assert stored(storage) == []

    def test_leaves_files_that_cannot_be_removed_to_the_reaper(
        self,
        api: TestClient,
        client: Client,
        database: Database,
        storage: Storage,
        finished: Finish,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        work_of(api, client, finished)
        files = stored(storage)
        with monkeypatch.context() as broken:
            broken.setattr(type(storage), "delete", refuse)
            result = delete("ada@example.com")
        assert result.exit_code == 0, (result.output, result.exception)
        assert f"{len(files)} files could not be removed yet" in result.stdout
        assert rows(database)["Model"] == 0
        clean_up_all(database, storage)
        assert stored(storage) == []

    def test_waits_for_renders_of_others_with_its_published_overlays(
        self, api: TestClient, client: Client, stranger: Client, database: Database, finished: Finish
    ) -> None:
        with database.write() as db:
            db.get_one(Account, client.account.id).is_admin = True
        overlay = api.post("/v1/overlays", files={"file": ("a.png", picture())}).json()["data"]["id"]
        assert api.patch(f"/v1/overlays/{overlay}/publish").status_code == 200
        settings = json.dumps({"bgImageId": overlay})
        render = uploaded(api, settings=settings, headers=stranger.headers)["renderId"]
        result = delete("ada@example.com")
        assert (result.exit_code, count(database, Overlay)) == (1, 1)
        assert "1 unfinished renders of other accounts" in result.stderr
        finished(render)
        assert delete("ada@example.com").exit_code == 0

    def test_leaves_nothing_of_uploads_that_are_under_way(
        self, api: TestClient, client: Client, database: Database, storage: Storage
    ) -> None:
        deleted = threading.Event()

        def keep_uploading(thread: int) -> set[int]:
            answers = set()
            for number in itertools.count():
                answers.add(upload(api, glb(f"{thread} {number}".encode()), headers=client.headers).status_code)
                if deleted.is_set():
                    break
            return answers

        with ThreadPoolExecutor(3) as pool:
            answers = [pool.submit(keep_uploading, number) for number in range(3)]
            until(lambda: count(database, Model), lambda models: models > 3)
            result = delete("ada@example.com")
            deleted.set()
        assert result.exit_code == 0, (result.output, result.exception)
        assert set.union(*(answer.result() for answer in answers)) == {201, 401}
        assert set(rows(database).values()) == {0}
        assert stored(storage) == []

    def test_removes_its_failures_from_the_nodes(
        self, client: Client, stranger: Client, database: Database, cpu: Facts
    ) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            for number, account in enumerate((client.account, stranger.account)):
                model = Model(sha256=f"{number}" * 64, account_id=account.id)
                quarantine.record_failure(db, cpu.name, model, RenderFailed(account.email))
        assert delete("ada@example.com").exit_code == 0
        with database.read() as db:
            failures = nodes.named(db, cpu.name).failures or []
        assert [(failure[1], failure[3]) for failure in failures] == [(stranger.account.id, stranger.account.email)]

    def test_reports_an_unknown_account_in_one_line(self) -> None:
        result = delete("none@example.com")
        assert result.exit_code == 1
        assert "no account" in result.stderr


def refuse(*_: object) -> None:
    raise PermissionError("Operation not permitted")

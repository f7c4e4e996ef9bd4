"""The log of an attempt is stored with its chunk, and shown by `farm logs`."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select
from typer.testing import CliRunner

from farm import cli, logs
from farm.blender.client import LOG_NAME
from farm.db import renders
from farm.db.session import Database
from farm.db.tables import AttemptLog, Chunk, Render
from farm.errors import EncodingFailed, WorkerLost
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant, ClaimedChunk
from farm.settings import Settings
from farm.worker import chunk_log
from farm.worker.context import WorkerContext
from tests.support.chunks import as_claimed

log = structlog.get_logger()


@pytest.fixture(autouse=True)
def lines() -> Iterator[None]:
    """Logging as configured in a worker."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers = list(root.handlers)
    for handler in handlers:
        root.removeHandler(handler)
    logs.configure("warning")
    yield
    structlog.configure(**before)
    root.handlers = handlers


@pytest.fixture
def node(settings: Settings, tmp_path: Path) -> WorkerContext:
    return WorkerContext("gpu-7", settings, "cycles", tmp_path / "sock", tmp_path)


@pytest.fixture
def chunk(database: Database, render: Render) -> ClaimedChunk:
    with database.read() as db:
        wanted = select(Chunk).where(Chunk.shot_id == render.shot_id).order_by(Chunk.first_frame)
        return as_claimed(db.scalars(wanted).all()[0])


def texts(database: Database) -> list[str]:
    with database.read() as db:
        return list(db.scalars(select(AttemptLog.text).order_by(AttemptLog.attempt)))


@pytest.mark.on_both_databases
class TestStore:
    def test_stores_the_lines_of_threads_libraries_and_blender(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk, render: Render
    ) -> None:
        (node.scratch / LOG_NAME).write_text("a line of the chunk before\n")
        with chunk_log.recorded(node, database, chunk):
            log.info("a line of the job")
            thread = threading.Thread(target=log.info, args=["a line of a thread"])
            thread.start()
            thread.join()
            logging.getLogger("library").warning("a line of a library")
            with (node.scratch / LOG_NAME).open("a") as blender:
                blender.write("Fra:1 Mem:1M\nSaved: 'x'\nTime: 1\n\nglTF import finished\nFra:7 Mem:2M\n")
        log.info("a line of another job")
        [text] = texts(database)
        own, _, of_blender = text.partition("Blender:\n")
        for message in ("a line of the job", "a line of a thread", "a line of a library"):
            [line] = [line for line in own.splitlines() if message in line]
            assert all(id_ in line for id_ in (render.id, chunk.id, "gpu-7"))
        assert len(own.splitlines()) == 3
        assert of_blender == "glTF import finished\nFra:7 Mem:2M\n", "only the last line of the progress is stored"

    def test_stores_the_log_of_a_failed_attempt(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk
    ) -> None:
        def work() -> None:
            with chunk_log.recorded(node, database, chunk):
                log.warning("about to fail \0")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert "about to fail" in texts(database)[0]
        assert not list(node.scratch.glob("attempt-*"))

    def test_rescues_the_log_of_a_killed_work_horse(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk
    ) -> None:
        (node.scratch / f"attempt-{chunk.id}-2").write_text("the last line\n")
        chunk_log.rescue(node, database, "killed")
        assert texts(database) == ["the last line\nkilled\n"]
        assert not list(node.scratch.glob("attempt-*"))

    def test_stores_the_log_with_the_completed_chunk(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk
    ) -> None:
        with chunk_log.recorded(node, database, chunk) as attempt_log:
            log.info("a line of the job")
            with database.write() as db:
                attempt_log.store(db)
        [text] = texts(database)
        assert "a line of the job" in text
        assert not list(node.scratch.glob("attempt-*"))

    def test_stores_the_log_when_the_commit_fails(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk
    ) -> None:
        def work() -> None:
            with chunk_log.recorded(node, database, chunk) as attempt_log, database.write() as db:
                attempt_log.store(db)
                log.warning("about to fail")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        [text] = texts(database)
        assert "about to fail" in text

    @pytest.mark.parametrize("succeeds", [True, False])
    def test_limits_the_length(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk, succeeds: bool
    ) -> None:
        with chunk_log.recorded(node, database, chunk) as attempt_log:
            for number in range(1000):
                log.info("a line", number=number)
            if succeeds:
                with database.write() as db:
                    attempt_log.store(db)
        [text] = texts(database)
        limit = chunk_log.MAX_CHARACTERS_SUCCESS if succeeds else chunk_log.MAX_CHARACTERS_FAILURE
        assert limit < len(text) < limit + 100
        assert "number=0 " in text
        assert "number=999 " in text
        assert "characters left out" in text

    def test_reads_only_the_ends_of_what_blender_wrote(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk
    ) -> None:
        """The file has a hole of 1 TiB, which no memory holds."""
        with chunk_log.recorded(node, database, chunk), (node.scratch / LOG_NAME).open("wb") as blender:
            blender.write(b"the first line\n")
            blender.seek(1 << 40)
            blender.write(b"\nthe last line\n")
        [text] = texts(database)
        assert "the first line" in text
        assert text.endswith("the last line\n")

    def test_deletes_the_log_with_the_render(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk, render: Render
    ) -> None:
        with chunk_log.recorded(node, database, chunk):
            log.info("a line")
        with database.write() as db:
            renders.remove(db, db.get_one(Render, render.id))
        assert texts(database) == []

    def test_ignores_a_render_that_was_deleted_meanwhile(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk, render: Render
    ) -> None:
        with chunk_log.recorded(node, database, chunk), database.write() as db:
            renders.remove(db, db.get_one(Render, render.id))
        assert texts(database) == []


class TestFarmLogs:
    def test_shows_all_attempts_at_all_chunks_of_a_render(
        self, node: WorkerContext, database: Database, chunk: ClaimedChunk, render: Render, settings: Settings
    ) -> None:
        for attempt in (1, 2):
            with chunk_log.recorded(node, database, replace(chunk, attempt=attempt)):
                log.info("a line [bold]in[/] attempt", number=attempt)
        shown = CliRunner().invoke(cli.app, ["logs", render.id, "--data", str(settings.data)])
        assert shown.exit_code == 0, shown.output
        assert f"render {render.id} is pending" in shown.stdout
        assert shown.stdout.index("--- attempt 1 on gpu-7") < shown.stdout.index("--- attempt 2 on gpu-7")
        assert "a line [bold]in[/] attempt" in shown.stdout
        assert f"frames 0 to {chunk.frames - 1}: waiting" in shown.stdout

    def test_shows_how_each_attempt_ended_and_who_noticed(
        self, database: Database, render: Render, settings: Settings, doorbell: Doorbell
    ) -> None:
        """The worker of the second attempt is killed, and the operator cancels the third."""
        for attempt, seconds in ((1, 30), (2, -1), (3, 30)):
            with database.write() as db:
                held = leases.claim_next(db, Claimant(f"node{attempt}", "cycles"), seconds=seconds)
            assert held
            with database.write() as db:
                if attempt == 1:
                    leases.fail(db, doorbell, held.id, 1, EncodingFailed(), max_attempts=9)
                elif attempt == 2:
                    leases.expire(db, doorbell, held.id, 2, max_attempts=9)
                else:
                    leases.cancel(db, db.get_one(Render, render.id), "Not wanted")
        command = ["logs", render.id, "--data", str(settings.data)]
        shown = CliRunner().invoke(cli.app, command).stdout
        assert "--- attempt 1 on node1, failed after 0 s, noticed by the worker, " in shown
        assert "UTC: The video could not be encoded" in shown
        assert "--- attempt 2 on node2, expired after 0 s, noticed by the reaper, " in shown
        assert "(no log: it is lost with the worker, or is not stored yet)" in shown
        found = json.loads(CliRunner().invoke(cli.app, [*command, "--json"]).stdout)
        attempts = found["chunks"][0]["attempts"]
        assert [(each["node"], each["outcome"], each["noticedBy"], each["reason"]) for each in attempts] == [
            ("node1", "failed", "worker", EncodingFailed.default),
            ("node2", "expired", "reaper", WorkerLost.default),
            ("node3", "cancelled", "operator", "Not wanted"),
        ]

    def test_refuses_an_unknown_render(self, settings: Settings, database: Database) -> None:  # noqa: ARG002 - migrated
        refused = CliRunner().invoke(cli.app, ["logs", "nosuchrender", "--data", str(settings.data)])
        assert refused.exit_code == 1
        assert "no render nosuchrender" in refused.stderr


def test_writes_json_lines_without_a_terminal(tmp_path: Path) -> None:
    """Our lines and those of libraries, from the configured level on, with the fields that the process bound."""
    program = """
import logging, pathlib, structlog, sys
from farm import logs
logs.configure("warning")
logs.bind(node="gpu-7")
structlog.get_logger().info("not worth it")
structlog.get_logger().warning("ours", chunk="c")
with logs.copied(pathlib.Path(sys.argv[1]), chunk="d"):
    logging.getLogger("library").warning("of a %s", "library")
structlog.get_logger().warning("afterwards")
"""
    command = [sys.executable, "-c", program, str(tmp_path / "copy")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    ours, other, afterwards = (json.loads(line) for line in ran.stderr.splitlines())
    assert (ours["event"], ours["node"], ours["chunk"], ours["level"]) == ("ours", "gpu-7", "c", "warning")
    assert (other["event"], other["node"], other["logger"]) == ("of a library", "gpu-7", "library")
    assert (other["chunk"], afterwards.get("chunk"), afterwards["node"]) == ("d", None, "gpu-7")

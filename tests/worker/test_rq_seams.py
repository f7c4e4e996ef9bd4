"""Each part of RQ's worker that ChunkWorker overrides or depends on: an upgrade that changes one fails here."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis
from rq import Callback, Queue
from rq.exceptions import StopRequested
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.webhook import Webhook
from sqlalchemy import QueuePool
from structlog.testing import capture_logs

from farm.blender.host_process import BlenderHost
from farm.db import clock, nodes
from farm.db.chunks import DRAWING, PREVIEW
from farm.db.session import Database
from farm.nodes import facts, quarantine, registry
from farm.nodes.registry import Assignment
from farm.rendering.engine import Choice, Devices
from farm.scheduling.doorbell import JOB, NO_TIMEOUT, QUEUE_NAMES, queue
from farm.settings import Settings
from farm.worker import context
from farm.worker.worker import ChunkWorker

pytestmark = pytest.mark.slow


class IdleHost:
    """In place of the Blender host, which no job here uses."""

    pid = None

    def __init__(self) -> None:
        self.checks = self.kills = 0

    def ensure_ready(self) -> None:
        self.checks += 1

    def kill(self) -> None:
        self.kills += 1


@pytest.fixture
def worker(
    settings: Settings, database: Database, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChunkWorker]:
    own_facts = facts.gather("one", [], Choice("cycles"), Devices(), database, settings)
    registry.join(database, own_facts)
    monkeypatch.setattr(context, "_current", context.WorkerContext("one", settings, "cycles", tmp_path, tmp_path))
    worker = ChunkWorker(settings, redis, cast(BlenderHost, IdleHost()), own_facts)
    yield worker
    worker.database.close()


@pytest.fixture
def heartbeats(worker: ChunkWorker, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of the node's heartbeats, sent whenever RQ calls."""
    times: list[float] = []

    def send() -> None:
        times.append(time.monotonic())
        worker._next_heartbeat = 0.0

    monkeypatch.setattr(worker, "_node_heartbeat", send)
    return times


def job(redis: Redis, priority: int = DRAWING) -> Job:
    return queue(priority, redis).enqueue_call(JOB, timeout=NO_TIMEOUT)


def forged(redis: Redis, function: str = JOB, **options: Any) -> Job:
    """A job as anybody who reaches Redis could add it."""
    plain = Queue(QUEUE_NAMES[DRAWING], connection=redis, serializer=JSONSerializer)
    return plain.enqueue_call(function, **{"timeout": NO_TIMEOUT} | options)


def leave_traces(*_: Any) -> None:
    """What a forged job or callback would run."""
    Path(os.environ["TRACES"]).touch()


TRACES = f"{__name__}.leave_traces"
FORGERIES: dict[str, dict[str, Any]] = {
    "another function": {"function": TRACES},
    "a method of a string": {"function": "upper", "args": ("a",)},
    "arguments": {"args": (1,)},
    "keywords": {"kwargs": {"a": 1}},
    "on success": {"on_success": Callback(TRACES)},
    "on failure": {"on_failure": Callback(TRACES)},
    "on stop": {"on_stopped": Callback(TRACES)},
    "a webhook": {"webhooks": [Webhook("http://127.0.0.1:9/", "finished")]},
    "a time limit": {"timeout": 1},
}


def work_horse(worker: ChunkWorker, monkeypatch: pytest.MonkeyPatch, end: Any) -> list[int]:
    """Makes work-horses call `end`; returns the wait statuses of the ones that the worker considers killed."""
    statuses: list[int] = []
    monkeypatch.setattr(worker, "main_work_horse", lambda *_: end())
    monkeypatch.setattr(worker, "_record_killed", statuses.append)
    return statuses


def open_connections(worker: ChunkWorker) -> int:
    pool = worker.database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedin() + pool.checkedout()


class TestRqWorker:
    @pytest.mark.usefixtures("heartbeats")
    def test_reads_the_queues_of_the_assignment(self, worker: ChunkWorker, redis: Redis) -> None:
        drawing, preview = job(redis, DRAWING), job(redis, PREVIEW)
        for priorities, expected in (((DRAWING, PREVIEW), drawing), ((PREVIEW,), preview)):
            worker.assignment = Assignment(priorities, drain=False)
            dequeued = worker.dequeue_job_and_maintain_ttl(1)
            assert dequeued
            assert dequeued[0].id == expected.id

    @pytest.mark.usefixtures("heartbeats")
    def test_wakes_itself_for_a_check_before_any_other_job(self, worker: ChunkWorker, redis: Redis) -> None:
        job(redis, PREVIEW)
        worker.assignment = Assignment((), drain=False, check=True)
        for _ in range(2):
            dequeued = worker.dequeue_job_and_maintain_ttl(1)
            assert dequeued
            assert (dequeued[0].func_name, dequeued[1].name) == (JOB, "check-one")

    @pytest.mark.usefixtures("heartbeats")
    def test_wakes_itself_for_bound_work_once_a_heartbeat(self, worker: ChunkWorker, redis: Redis) -> None:
        job(redis, PREVIEW)
        worker.assignment = Assignment((PREVIEW,), drain=False, is_bound_work_waiting=True)
        names = []
        for _ in range(2):
            dequeued = worker.dequeue_job_and_maintain_ttl(1)
            assert dequeued
            names.append(dequeued[1].name)
        assert names == ["check-one", "previews"]

    def test_ends_when_dequeuing_raises_stop_requested(self, worker: ChunkWorker, heartbeats: list[float]) -> None:
        worker.assignment = Assignment((), drain=True)
        worker.work(burst=True, logging_level="ERROR")
        assert worker.is_stopping
        assert heartbeats, "the worker sends a heartbeat first"

    def test_sends_heartbeats_while_it_waits(
        self, worker: ChunkWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heartbeats = []

        def send() -> None:
            heartbeats.append(time.monotonic())
            if len(heartbeats) == 2:
                job(redis)

        monkeypatch.setattr(worker, "_node_heartbeat", send)
        assert worker.dequeue_job_and_maintain_ttl(1)
        assert len(heartbeats) == 2

    def test_calls_heartbeat_while_a_work_horse_runs(
        self, worker: ChunkWorker, heartbeats: list[float], redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker.job_monitoring_interval = 1
        monkeypatch.setattr("farm.worker.jobs.work", lambda: time.sleep(2.5))
        worker.execute_job(job(redis), queue(DRAWING, redis))
        assert len(heartbeats) >= 3, "one of them is sent before"

    def test_forks_work_horses_without_a_connection(
        self, worker: ChunkWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker.heartbeat()
        assert open_connections(worker) == 1, "it stays open for the next heartbeat"
        killed = work_horse(worker, monkeypatch, lambda: os._exit(open_connections(worker)))
        worker.execute_job(job(redis), queue(DRAWING, redis))
        assert killed == []

    def test_executes_a_job_between_two_checks_of_the_host(
        self, worker: ChunkWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = cast(IdleHost, worker.host)
        work_horse(worker, monkeypatch, lambda: os._exit(0 if host.checks == 1 else 1))
        worker.execute_job(job(redis), queue(DRAWING, redis))
        assert host.checks == 2

    def test_reports_a_killed_work_horse(
        self, worker: ChunkWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        killed = work_horse(worker, monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
        worker.execute_job(job(redis), queue(DRAWING, redis))
        assert killed == [signal.SIGKILL]

    def test_reports_an_error_of_a_job_by_its_own_event(
        self, worker: ChunkWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("farm.worker.jobs.work", lambda: 1 / 0)
        worker.execute_job(job(redis), queue(DRAWING, redis))
        [line] = [line for line in capfd.readouterr().out.splitlines() if "error" in line and "work_failed" in line]
        assert "division by zero" in line

    def test_replaces_the_host_for_a_check_that_has_just_become_due(
        self, worker: ChunkWorker, database: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = cast(IdleHost, worker.host)
        worker.heartbeat()
        with database.write() as db:
            nodes.named(db, "one").check_due_at = clock.now(db)
        work_horse(worker, monkeypatch, lambda: os._exit(0))
        worker.execute_job(job(redis), queue(DRAWING, redis))
        assert host.kills == 1

    @pytest.mark.parametrize("has_begun", [True, False])
    def test_counts_a_check_as_failed_if_its_work_horse_was_killed(
        self,
        worker: ChunkWorker,
        database: Database,
        redis: Redis,
        monkeypatch: pytest.MonkeyPatch,
        has_begun: bool,
    ) -> None:
        with database.write() as db:
            nodes.named(db, "one").check_due_at = clock.now(db)
        if has_begun:
            with database.write() as db:
                assert quarantine.begin_check(db, "one")
        monkeypatch.setattr(worker, "main_work_horse", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        worker.execute_job(job(redis), queue(DRAWING, redis))
        with database.read() as db:
            reason = nodes.named(db, "one").quarantine_reason
        assert ("was killed" in (reason or "")) is has_begun

    def test_reports_a_stop_signal_before_it_stops(self, worker: ChunkWorker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signal, "signal", lambda *_: None)  # RQ would install handlers for a second signal
        with pytest.raises(StopRequested):
            worker.request_stop(signal.SIGTERM, None)  # type: ignore[no-untyped-call]
        assert worker.is_stopping
        assert context.current().is_stop_requested()


class TestForgedJobs:
    """A client of Redis runs nothing on a node."""

    @pytest.fixture
    def traces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("TRACES", str(tmp_path / "traces"))
        return tmp_path / "traces"

    @pytest.mark.usefixtures("heartbeats")
    @pytest.mark.parametrize("forgery", FORGERIES.values(), ids=list(FORGERIES))
    def test_are_dropped(self, worker: ChunkWorker, redis: Redis, forgery: dict[str, Any]) -> None:
        bad, good = forged(redis, **forgery), job(redis)
        with capture_logs() as logged:
            dequeued = worker.dequeue_job_and_maintain_ttl(1)
        assert dequeued
        assert dequeued[0].id == good.id
        assert {"event": "job_refused", "job": bad.id, "log_level": "warning"} in logged

    @pytest.mark.usefixtures("heartbeats")
    def test_with_broken_fields_do_not_end_the_worker(self, worker: ChunkWorker, redis: Redis) -> None:
        bad, good = forged(redis), job(redis)
        redis.hset(bad.key, mapping={"created_at": "yesterday", "status": "?", "data": b"\x80\x04."})
        dequeued = worker.dequeue_job_and_maintain_ttl(1)
        assert dequeued
        assert dequeued[0].id == good.id

    def test_run_no_callback_when_rq_tidies_up(self, worker: ChunkWorker, redis: Redis, traces: Path) -> None:
        """RQ calls the failure callbacks of jobs that seem to be abandoned, in the worker itself."""
        bad = forged(redis, on_failure=Callback(TRACES))
        started = StartedJobRegistry(QUEUE_NAMES[DRAWING], redis, serializer=JSONSerializer)
        redis.hset(bad.key, "status", "started")
        redis.zadd(started.key, {f"{bad.id}:abc": 1})
        worker.clean_registries()  # type: ignore[no-untyped-call]
        assert not traces.exists()

    def test_include_no_commands(self, worker: ChunkWorker, redis: Redis) -> None:
        """RQ's worker would stop, or kill its work-horse, for any client that publishes to its channel."""
        worker.subscribe()
        assert redis.pubsub_numsub(worker.pubsub_channel_name) == [(worker.pubsub_channel_name.encode(), 0)]

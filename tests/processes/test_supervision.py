"""Supervision of real child processes; only the clock of the backoff is set by the tests."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from farm.processes import supervision
from farm.processes.supervision import HEALTHY_SECONDS, MAX_BACKOFF_SECONDS, MIN_BACKOFF_SECONDS, Child

STEP_SECONDS = 0.5
TIMEOUT_SECONDS = 30.0


class Clock:
    """In place of the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Wanted:
    """A child's `wanted`, with the times at which it was called."""

    def __init__(self, clock: Clock, value: bool) -> None:
        self.clock, self.value = clock, value
        self.called_at: list[float] = []

    def __call__(self) -> bool:
        self.called_at.append(self.clock.now)
        return self.value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(supervision, "time", clock)
    return clock


@pytest.fixture
def child(clock: Clock) -> Iterator[Child]:  # noqa: ARG001 - set before the child starts
    child = Child("sleep", ["sleep", "60"])
    child.start()
    yield child
    kill(child)


def kill(child: Child) -> None:
    child.process.kill()
    child.process.wait(TIMEOUT_SECONDS)


def seconds_until_restart(child: Child, clock: Clock) -> float:
    """Kills the child; returns the time until it is restarted."""
    killed, killed_at = child.process, clock.now
    kill(child)
    while child.process is killed:
        child.restart_if_dead()
        clock.now += STEP_SECONDS
        assert clock.now - killed_at < 2 * MAX_BACKOFF_SECONDS
    clock.now -= STEP_SECONDS
    return clock.now - killed_at


class TestRestart:
    def test_backs_off_twice_as_long_after_each_death(self, child: Child, clock: Clock) -> None:
        backoffs = [seconds_until_restart(child, clock) for _ in range(7)]
        assert backoffs == [1, 2, 4, 8, 16, 30, 30]

    @pytest.mark.parametrize(
        ("ran_seconds", "backoff"),
        [(HEALTHY_SECONDS, MIN_BACKOFF_SECONDS), (HEALTHY_SECONDS - STEP_SECONDS, 4 * MIN_BACKOFF_SECONDS)],
    )
    def test_resets_the_backoff_of_a_healthy_child(
        self, child: Child, clock: Clock, ran_seconds: float, backoff: float
    ) -> None:
        for _ in range(2):
            seconds_until_restart(child, clock)
        clock.now += ran_seconds
        assert seconds_until_restart(child, clock) == backoff

    def test_does_not_touch_a_running_child(self, child: Child, clock: Clock) -> None:
        running = child.process
        for _ in range(3):
            clock.now += MAX_BACKOFF_SECONDS
            child.restart_if_dead()
        assert child.process is running
        assert child.process.poll() is None


class TestRetirement:
    @pytest.fixture
    def wanted(self, child: Child, clock: Clock) -> Wanted:
        """The retired child's `wanted`."""
        child.wanted = wanted = Wanted(clock, value=False)
        kill(child)
        child.restart_if_dead()
        return wanted

    def test_retires_a_child_that_is_not_wanted(self, child: Child, clock: Clock, wanted: Wanted) -> None:
        retired, retired_at = child.process, clock.now
        while clock.now < retired_at + 2 * MAX_BACKOFF_SECONDS:
            clock.now += STEP_SECONDS
            child.restart_if_dead()
            assert child.retired
            assert child.process is retired
        checks = [retired_at, retired_at + MAX_BACKOFF_SECONDS, retired_at + 2 * MAX_BACKOFF_SECONDS]
        assert wanted.called_at == checks

    def test_restarts_a_child_that_is_wanted_again(self, child: Child, clock: Clock, wanted: Wanted) -> None:
        wanted.value = True
        clock.now += MAX_BACKOFF_SECONDS - STEP_SECONDS
        child.restart_if_dead()
        assert child.retired
        clock.now += STEP_SECONDS
        child.restart_if_dead()
        assert not child.retired
        assert child.process.poll() is None


class TestRunUntilStopped:
    """In a process of its own, as it adopts and kills every orphan."""

    PROGRAM = """
from farm.processes.supervision import Child, run_until_stopped
run_until_stopped([Child(str(number), {command}, wanted=lambda: {wanted}) for number in range(2)])
"""

    def command(self, *command: str, wanted: bool) -> list[str]:
        return [sys.executable, "-c", self.PROGRAM.format(command=list(command), wanted=wanted)]

    def test_ends_once_all_children_are_retired(self) -> None:
        subprocess.run(self.command("false", wanted=False), check=True, timeout=TIMEOUT_SECONDS)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_its_children_when_it_receives_a_stop_signal(self, number: signal.Signals) -> None:
        with subprocess.Popen(self.command("sleep", "60", wanted=True)) as supervisor:
            try:
                deadline = time.monotonic() + TIMEOUT_SECONDS
                while len(children := psutil.Process(supervisor.pid).children()) < 2:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                supervisor.send_signal(number)
                assert supervisor.wait(TIMEOUT_SECONDS) == 0
            finally:
                supervisor.kill()
        assert not any(child.is_running() for child in children)


class TestExitOnStopSignal:
    def test_exits_at_once(self) -> None:
        with pytest.raises(SystemExit) as ended, supervision.exit_on_stop_signal(3):
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.code == 3

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_reports_a_signal_whose_exit_a_finalizer_swallows(self) -> None:
        class Finalized:
            def __del__(self) -> None:
                signal.raise_signal(signal.SIGTERM)
                time.sleep(0)  # the handler runs inside the finalizer

        with supervision.exit_on_stop_signal(3) as is_stopped:
            assert not is_stopped()
            Finalized()
            assert is_stopped()

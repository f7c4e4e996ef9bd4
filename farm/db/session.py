"""Connections and transactions, the same way on SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, CursorResult, Delete, Engine, Update, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from farm.db import clock
from farm.errors import WrongVersion

# The locks of a client that is stopped or disconnected during a transaction would block all others. Our transactions
# wait only for the database, so none is idle for that long.
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 30
# A server that does not acknowledge or respond counts as lost after this time; TCP's defaults are up to two hours.
UNREACHABLE_TIMEOUT_SECONDS = 20
SQLITE_LOCK_TIMEOUT_SECONDS = 30

# The database cannot be reached or used, or all connections to it stay busy.
DATABASE_DOWN = (OperationalError, PoolTimeout)

AFTER_COMMIT = "after_commit"  # of a session's info: the calls that wait for its transaction


class Database:
    """One engine. `read` and `write` open a session; `write` commits at its end, or rolls back on any error.

    On SQLite a writer acquires the write lock when it begins (BEGIN IMMEDIATE): a transaction that reads first and
    writes later could otherwise fail midway with "database is locked", which no lock timeout prevents.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._file = _sqlite_file(url)
        self.engine = _sqlite_engine(url) if url.startswith("sqlite") else _postgresql_engine(url)
        self._writing = self.engine.execution_options(immediate=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session
        for call in session.info.get(AFTER_COMMIT, []):
            call()

    def upgrade(self) -> None:
        """Migrate the tables to the newest version; does nothing when they are up to date.

        This alone creates SQLite's file, for its owner only, and its folder. Raises WrongVersion when the tables are of
        a later version.
        """
        if (found := self.version()) and not self.knows(found):
            self.check_version()
        if self._file:
            _create(self._file)
        command.upgrade(self._alembic(), "head")

    def version(self) -> str | None:
        """The current version of the tables; None when there are none."""
        if not self.exists():
            return None
        with self.read() as db:
            return version(db)

    def exists(self) -> bool:
        """Whether there is a database to connect to; False only for a file of SQLite that is missing."""
        return self._file is None or self._file.exists()

    def newest_version(self) -> str | None:
        """The version of the tables that this code needs."""
        return ScriptDirectory.from_config(self._alembic()).get_current_head()

    def knows(self, version: str) -> bool:
        """Whether this code has a migration to that version; if not, the tables are of a later version."""
        return any(version == known.revision for known in ScriptDirectory.from_config(self._alembic()).walk_revisions())

    def check_version(self) -> None:
        """Raises WrongVersion when the tables are not of the version that this code needs."""
        found, needed = self.version(), self.newest_version()
        if found == needed:
            return
        if found is None:
            raise WrongVersion("The database has no tables yet: run `farm db upgrade`")
        if self.knows(found):
            raise WrongVersion(f"The database is at version {found}, Plinth needs {needed}: run `farm db upgrade`")
        raise WrongVersion(
            f"The database is at version {found}, newer than {needed} of this Plinth: update Plinth on this machine"
        )

    def _alembic(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self.engine
        return config

    def close(self) -> None:
        self.engine.dispose()


def version(db: Session) -> str | None:
    """The version of the tables; None when there are none."""
    return MigrationContext.configure(db.connection()).get_current_revision()


def rows_changed(db: Session, statement: Update | Delete) -> int:
    """Execute the statement and return how many rows it matched. Objects of the session are not refreshed."""
    result = db.execute(statement, execution_options={"synchronize_session": False})
    return cast(CursorResult[Any], result).rowcount


def after_commit(db: Session, call: Callable[[], object]) -> None:
    """Run `call` once the transaction of `write` is committed, and never if it is not."""
    db.info.setdefault(AFTER_COMMIT, []).append(call)


def _postgresql_engine(url: str) -> Engine:
    if not url.startswith("postgres"):
        raise ArgumentError("Only SQLite and PostgreSQL are supported")
    # psycopg 3, also for plain postgresql:// URLs, for which SQLAlchemy would choose psycopg 2.
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={
            "options": f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_SECONDS}s -c TimeZone=UTC",
            "connect_timeout": UNREACHABLE_TIMEOUT_SECONDS,
            "tcp_user_timeout": 1000 * UNREACHABLE_TIMEOUT_SECONDS,
            "keepalives_idle": UNREACHABLE_TIMEOUT_SECONDS // 2,
            "keepalives_interval": UNREACHABLE_TIMEOUT_SECONDS // 4,
            "keepalives_count": 2,
        },
    )


def _lower(text: str | None) -> str | None:
    return text and text.lower()


def _sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for one in memory, or of PostgreSQL."""
    parts = make_url(url)
    is_file = parts.drivername.startswith("sqlite") and parts.database and parts.database != ":memory:"
    return Path(parts.database).absolute() if is_file and parts.database else None


def _create(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # it exists, or SQLite reports why it cannot be created
        file.touch(mode=0o600, exist_ok=False)  # SQLite's other files get its mode


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_LOCK_TIMEOUT_SECONDS, "check_same_thread": False})

    if file := _sqlite_file(url):

        @event.listens_for(engine, "do_connect")
        def open_existing(_: Any, __: Any, arguments: list[Any], options: dict[str, Any]) -> None:
            arguments[:] = [f"{file.as_uri()}?mode=rw"]  # sqlite3 would create a missing file
            options["uri"] = True

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions (see below), not sqlite3
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.create_function("clock_timestamp", 0, clock.sqlite_clock_timestamp)
        connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII letters only

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine

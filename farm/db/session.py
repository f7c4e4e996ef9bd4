"""Connections and transactions, alike on SQLite and PostgreSQL."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, CursorResult, Engine, Executable, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

Values = Mapping[str, Any]

_LATER = "later"  # what of a session's info is still to be written

IDLE_IN_TRANSACTION = 30.0  # seconds; nobody who works is that long, as no transaction waits for anything else
# Seconds after which a server that cannot be reached any more counts as lost, whether it owes us an answer or has not
# even acknowledged the question: by default that takes two hours and a quarter of one.
UNREACHABLE = 20
# What a page out of order costs, in pages in order. PostgreSQL's 4 is for a disk that turns: with it a claim sorts all
# that waits, whenever the last statistics say that little does.
RANDOM_PAGE_COST = 1.1


class Database:
    """One engine. `write` opens a transaction, and commits it at its end or rolls it back on any error.

    In `read` and in `autocommit`, which may write, PostgreSQL takes each statement for a transaction: one trip to the
    server instead of three. Nor does the end of a `read` roll back, at which psycopg forgets all that it has prepared.

    On SQLite a writer takes the write lock at once (BEGIN IMMEDIATE): a transaction that reads first and writes later
    could otherwise fail half-way with "database is locked", which no busy timeout mends.

    `fleeting` is for a process that lives for seconds and asks the same over and over: PostgreSQL plans that once, when
    it is first asked, and is not asked before each transaction whether the connection still lives.
    """

    def __init__(self, url: str, *, fleeting: bool = False) -> None:
        self.url = url
        is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url) if is_sqlite else _postgresql_engine(url, fleeting)
        self._writing = self.engine.execution_options(immediate=True)
        if is_sqlite:
            self._reading, self._autocommit = self.engine, self._writing
        else:
            self._reading = self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    def write(self) -> AbstractContextManager[Session]:
        return _transaction(self._writing)

    def autocommit(self) -> AbstractContextManager[Session]:
        return _transaction(self._autocommit)

    def upgrade(self) -> None:
        """Bring the tables to the newest version; does nothing when they are."""
        command.upgrade(self._alembic(), "head")

    def version(self) -> str | None:
        """The version of the tables as they are; None when there are none."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def newest_version(self) -> str | None:
        """The version of the tables that this code works with."""
        return ScriptDirectory.from_config(self._alembic()).get_current_head()

    def knows(self, version: str) -> bool:
        """Whether this code has heard of that version of the tables; if not, it is a later one."""
        return any(version == known.revision for known in ScriptDirectory.from_config(self._alembic()).walk_revisions())

    def _alembic(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self.engine
        return config

    def close(self) -> None:
        self.engine.dispose()


def send(db: Session, statement: Executable, values: Values | Sequence[Values]) -> CursorResult[Any]:
    """Read or write rows within this transaction, past the session's objects and at a third of what they cost.

    For what every chunk has to do, with rows that nobody holds as objects.
    """
    db.flush()  # as every other statement does: changed objects come first
    return db.connection().execute(statement, values)


def later(db: Session, statement: Executable, values: Values) -> None:
    """Write a row at the end of this transaction: PostgreSQL gets all such rows in one trip instead of one each.

    So nobody learns how many there were, what PostgreSQL refuses is raised when the transaction ends (with any of the
    statements), and a savepoint takes nothing of it back.
    """
    db.info[_LATER][statement, *values].append(values)


@contextmanager
def _transaction(engine: Engine) -> Iterator[Session]:
    with Session(engine, expire_on_commit=False, info={_LATER: defaultdict(list)}) as session, session.begin():
        yield session
        if session.in_transaction():  # not rolled back
            _write_the_rest(session)


def _write_the_rest(db: Session) -> None:
    """What was to be written later."""
    rest: dict[tuple[Any, ...], list[Values]] = db.info[_LATER]  # by statement and columns
    if not rest:
        return
    db.flush()  # whose objects want to hear of each row
    connection = db.connection()
    driver: Any = connection.connection.driver_connection
    try:
        with nullcontext() if connection.dialect.name == "sqlite" else driver.pipeline():
            for (statement, *_), values in rest.items():
                send(db, statement, values)
    except psycopg.Error as error:  # as SQLAlchemy has it
        raise DBAPIError.instance(None, None, error, psycopg.Error) from error


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Run `call` once this transaction is committed, and never if it is not."""
    event.listen(session, "after_commit", lambda _: call(), once=True)


def _postgresql_engine(url: str, fleeting: bool) -> Engine:
    # psycopg 3, also for the plain postgresql:// that people write and SQLAlchemy reads as psycopg 2.
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=not fleeting,
        connect_args={
            "prepare_threshold": 0 if fleeting else 5,
            "tcp_user_timeout": 1000 * UNREACHABLE,
            "keepalives_idle": UNREACHABLE // 2,
            "keepalives_interval": UNREACHABLE // 4,
            "keepalives_count": 2,
        },
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # Somebody who is stopped or cut off in a transaction would let all others wait for what it has locked.
        connection.execute(
            f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION * 1000:.0f};"
            f"SET random_page_cost = {RANDOM_PAGE_COST};"
            f"SET plan_cache_mode = {'force_generic_plan' if fleeting else 'auto'}",
            prepare=False,
        )
        connection.commit()

    return engine


def _sqlite_engine(url: str) -> Engine:
    if path := make_url(url).database:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where sqlite3 guesses
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine

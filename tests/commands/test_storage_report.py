"""`farm doctor --storage` finds the differences between the storage and the database, and changes nothing."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.commands import storage_report
from farm.db.session import Database
from farm.db.tables import Asset, Model, now
from farm.settings import Settings
from farm.storage import Storage
from tests.intake.scans import picture
from tests.support.api import stored, uploaded
from tests.support.finished_renders import Finish
from tests.support.s3 import environment

pytestmark = [pytest.mark.on_both_databases, pytest.mark.on_both_storages]


@pytest.fixture(autouse=True)
def farm_of_this_test(
    settings: Settings, database: Database, s3_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"FARM_DATA": str(settings.data), "FARM_DATABASE_URL": database.url}
    for name, value in (names | environment(s3_settings)).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def hours_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is recent any more."""
    monkeypatch.setattr(storage_report, "UPLOAD_GRACE", -timedelta(minutes=1))


def doctor(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", "--storage", *words])


def differences() -> tuple[list[str], list[str]]:
    """The keys of files without a row, and of rows without a file; the exit code agrees."""
    result = doctor("--json")
    found = json.loads(result.stdout)
    assert result.exit_code == (1 if found["filesWithoutRow"] or found["rowsWithoutFile"] else 0)
    return [row["key"] for row in found["filesWithoutRow"]], [row["key"] for row in found["rowsWithoutFile"]]


@pytest.fixture
def busy_farm(api: TestClient, finished: Finish) -> str:
    """A farm with an overlay, a model, a finished render and others; returns the id of a render that is not over."""
    api.post("/v1/overlays", files={"file": ("a.png", picture())})
    data = uploaded(api)
    finished(data["renderId"])
    render_id: str = api.post("/v1/renders", json={"modelId": data["modelId"]}).json()["data"]["id"]
    return render_id


@pytest.mark.usefixtures("hours_later")
class TestDifferences:
    @pytest.mark.usefixtures("busy_farm")
    def test_are_none_on_a_farm_at_work(self) -> None:
        assert differences() == ([], [])

    def test_include_files_that_no_row_names(self, busy_farm: str, storage: Storage) -> None:
        unknown = ["models/Xz7pQ4w8nR2k.glb", "overlays/Xz7pQ4w8nR2k.webp", "renders/Xz7pQ4w8nR2k/1/video.mp4", "x"]
        for key in [*unknown, f"renders/{busy_farm}/1/segment.mp4"]:
            storage.put(key, Path(__file__))
        before = stored(storage)
        assert differences() == (unknown, []), "a worker may need the files of a render that is not over"
        assert stored(storage) == before
        size = Path(__file__).stat().st_size
        assert f"4 files without a row, {4 * size} bytes; 0 rows without a file" in doctor().stdout

    @pytest.mark.usefixtures("busy_farm")
    def test_include_rows_whose_file_is_missing(self, storage: Storage, database: Database) -> None:
        with database.read() as db:
            keys = sorted([model.storage_key for model in db.scalars(select(Model))])
            keys += db.scalars(select(Asset.storage_key).limit(1)).all()
        for key in keys:
            storage.delete(key)
        assert differences() == ([], keys)
        assert "row without file  model" in doctor().stdout

    def test_leave_out_a_deleted_model_without_file(self, storage: Storage, database: Database, model: Model) -> None:
        storage.put(model.storage_key, Path(__file__))
        with database.write() as db:
            db.get_one(Model, model.id).deleted_at = now()
        assert differences() == ([], [])
        storage.delete(model.storage_key)
        with database.write() as db:
            db.get_one(Model, model.id).has_file = False
        assert differences() == ([], [])


class TestRecentFiles:
    def test_are_not_reported(self, storage: Storage) -> None:
        storage.put("models/Xz7pQ4w8nR2k.glb", Path(__file__))
        assert differences() == ([], [])


class TestEmptyFarm:
    def test_has_no_differences(self) -> None:
        assert differences() == ([], [])

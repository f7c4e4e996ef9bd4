"""The number of new models that an account may upload in a day."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Model, now
from farm.settings import Settings
from tests.support.api import assert_error, count, files_in, upload, uploaded
from tests.support.clients import Client
from tests.support.glb import glb


class TestUploadLimit:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"upload_limit": 2})

    def test_counts_the_new_models_of_a_day(
        self, api: TestClient, database: Database, settings: Settings, stranger: Client
    ) -> None:
        first = uploaded(api, glb(b"1"))
        uploaded(api, glb(b"2"))
        left = files_in(settings.files)
        assert_error(upload(api, glb(b"3")), "upload_limit", 429, "2", "24 hours")
        assert files_in(settings.files) == left
        assert uploaded(api, glb(b"1"))["duplicate"], "a known file is not a new model"
        assert upload(api, glb(b"3"), headers=stranger.headers).status_code == 201
        with database.write() as db:
            db.get_one(Model, first["modelId"]).created_at = now() - timedelta(hours=25)
        assert upload(api, glb(b"3")).status_code == 201

    def test_counts_deleted_models(self, api: TestClient) -> None:
        for number in range(2):
            model_id = uploaded(api, glb(bytes([number])))["modelId"]
            assert api.delete(f"/v1/models/{model_id}").status_code == 200
        assert_error(upload(api, glb(b"3")), "upload_limit", 429)

    @pytest.mark.on_both_databases
    def test_holds_for_concurrent_uploads(self, api: TestClient, database: Database) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: upload(api, glb(bytes([number + 1]))), range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [429] * 6
        assert count(database, Model) == 2

"""Quotas: an account stores no more models, overlays and bytes than it may, however many uploads run at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from farm.db.session import Database
from farm.db.tables import Cleanup, Model, Overlay, Render, now
from farm.scheduling.cleanup import DELETION_GRACE, clean_up
from farm.settings import Settings
from farm.storage import Storage
from tests.intake.scans import picture
from tests.support.api import assert_error, count, credits_of, stored, upload, uploaded
from tests.support.clients import Client, new_client
from tests.support.finished_renders import Finish
from tests.support.glb import glb

pytestmark = pytest.mark.on_both_databases

MODELS = [glb(bytes([number]) * 100) for number in range(6)]
MODEL_BYTES = len(MODELS[0])


@pytest.fixture
def limited(settings: Settings, client: Client) -> Any:
    """Start the API of a farm with these settings, called with the account's key."""

    @contextmanager
    def start(**values: int) -> Iterator[TestClient]:
        with TestClient(create_app(settings.model_copy(update=values)), headers=client.headers) as api:
            yield api

    return start


def send_overlay(api: TestClient) -> Any:
    return api.post("/v1/overlays", files={"file": ("a.png", picture("PNG"))})


class TestModels:
    def test_are_refused_above_their_number_and_not_charged(
        self, limited: Any, database: Database, storage: Storage
    ) -> None:
        with limited(quota_models=2) as api:
            kept = [uploaded(api, content)["modelId"] for content in MODELS[:2]]
            before = credits_of(api)
            assert_error(upload(api, MODELS[2]), "upload_limit", 429, "2 models", "delete")
            assert credits_of(api) == before
            broken = upload(api, b"PK is no scan", "scan.zip")
            assert_error(broken, "upload_limit", 429, "2 models")  # without a look at the file
        assert (count(database, Model), count(database, Render)) == (2, 4)
        assert stored(storage) == sorted(f"models/{id_}.glb" for id_ in kept)

    def test_that_are_refused_once_they_are_stored_leave_nothing_to_clean_up(
        self, public_api: TestClient, database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when another upload has spent the last credit meanwhile."""
        monkeypatch.setattr("farm.accounts.credits.check", lambda *_: None)
        poor = new_client(database, "poor@example.com", credits=0)
        assert_error(upload(public_api, MODELS[0], headers=poor.headers), "no_credits", 402)
        assert (stored(storage), count(database, Cleanup)) == ([], 0)

    def test_that_are_known_are_rendered_at_the_limit(self, limited: Any) -> None:
        with limited(quota_models=1) as api:
            uploaded(api, MODELS[0])
            assert uploaded(api, MODELS[0])["duplicate"]

    def test_make_room_when_they_are_deleted(self, limited: Any) -> None:
        with limited(quota_models=1) as api:
            api.delete(f"/v1/models/{uploaded(api, MODELS[0])['modelId']}")
            uploaded(api, MODELS[1])

    def test_of_another_account_do_not_count(self, limited: Any, stranger: Client) -> None:
        with limited(quota_models=1) as api:
            uploaded(api, MODELS[0])
            uploaded(api, MODELS[0], headers=stranger.headers)

    def test_of_parallel_uploads_stay_within_the_number(
        self, limited: Any, database: Database, storage: Storage
    ) -> None:
        with limited(quota_models=2) as api:
            before = credits_of(api)
            with ThreadPoolExecutor(len(MODELS)) as pool:
                answers = list(pool.map(lambda content: upload(api, content).status_code, MODELS))
            assert sorted(answers) == [201, 201, 429, 429, 429, 429]
            assert before - credits_of(api) == 2
        assert count(database, Model) == len(stored(storage)) == 2
        assert count(database, Cleanup) == 0, "refused uploads leave the reaper nothing to do"


class TestOverlays:
    def test_are_refused_above_their_number(self, limited: Any, database: Database, storage: Storage) -> None:
        with limited(quota_overlays=1) as api:
            kept = send_overlay(api).json()["data"]["id"]
            assert_error(send_overlay(api), "upload_limit", 429, "1 overlays", "delete")
            assert stored(storage) == [f"overlays/{kept}.webp"]
            api.delete(f"/v1/overlays/{kept}")
            assert send_overlay(api).status_code == 200
        assert count(database, Overlay) == 2, "the deleted one is not cleaned up yet"

    def test_of_parallel_uploads_stay_within_the_number(
        self, limited: Any, database: Database, storage: Storage
    ) -> None:
        with limited(quota_overlays=2) as api, ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda _: send_overlay(api).status_code, range(5)))
        assert sorted(answers) == [200, 200, 429, 429, 429]
        assert count(database, Overlay) == len(stored(storage)) == 2


class TestBytes:
    def test_of_models_and_overlays_are_counted_together(self, limited: Any) -> None:
        with limited(quota_bytes=MODEL_BYTES) as api:
            uploaded(api, MODELS[0])
            assert_error(upload(api, MODELS[1]), "upload_limit", 429, f"have {MODEL_BYTES} bytes", "delete")
            assert_error(send_overlay(api), "upload_limit", 429, "bytes")

    def test_of_finished_renders_count(self, limited: Any, finished: Finish) -> None:
        with limited(quota_bytes=2 * MODEL_BYTES) as api:
            render_id = uploaded(api, MODELS[0])["renderId"]
            finished(render_id)
            assert_error(upload(api, MODELS[1]), "upload_limit", 429, "renders")
            api.delete(f"/v1/renders/{render_id}")
            uploaded(api, MODELS[1])

    def test_above_the_quota_refuse_orders_of_renders(self, limited: Any, finished: Finish) -> None:
        with limited(quota_bytes=2 * MODEL_BYTES) as api:
            model = uploaded(api, MODELS[0])
            finished(model["renderId"])
            order, before = {"modelId": model["modelId"]}, credits_of(api)
            assert_error(api.post("/v1/renders", json=order), "upload_limit", 429, "bytes", "delete")
            assert_error(api.post("/v1/renders/batch", json={"renders": [order]}), "upload_limit", 429)
            assert credits_of(api) == before
            api.delete(f"/v1/renders/{model['renderId']}")
            assert api.post("/v1/renders", json=order).status_code == 201

    def test_of_a_deleted_model_count_until_its_file_is_removed(
        self, limited: Any, database: Database, storage: Storage
    ) -> None:
        with limited(quota_bytes=MODEL_BYTES) as api:
            first = uploaded(api, MODELS[0])
            for render in api.get("/v1/renders").json()["data"]:
                api.delete(f"/v1/renders/{render['id']}")
            api.delete(f"/v1/models/{first['modelId']}")
            assert_error(upload(api, MODELS[1]), "upload_limit", 429, "bytes")
            with database.write() as db:
                db.get_one(Model, first["modelId"]).deleted_at = now() - DELETION_GRACE - timedelta(seconds=1)
            clean_up(database, storage)
            uploaded(api, MODELS[1])

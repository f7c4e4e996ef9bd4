"""Files that crashed or hung Blender on nodes that draw other models: refused at once, for all, and never charged."""

import hashlib

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Model, Render, SuspectModel, now
from farm.storage import Storage
from tests.support.api import assert_error, count, credits_of, stored, upload, uploaded
from tests.support.clients import INITIAL_CREDITS, Client
from tests.support.glb import glb

pytestmark = pytest.mark.on_both_databases

HARMFUL = glb(b"harmful")
HARMFUL_SHA256 = hashlib.sha256(HARMFUL).hexdigest()
REASON = "crashed or hung the renderer twice"


def refuse(database: Database, *, is_refused: bool = True) -> None:
    with database.write() as db:
        db.add(SuspectModel(sha256=HARMFUL_SHA256, hosts=2, reason="why", failed_at=now(), is_refused=is_refused))


class TestRefusedModel:
    def test_cannot_be_uploaded_by_any_account(
        self, api: TestClient, database: Database, storage: Storage, stranger: Client
    ) -> None:
        refuse(database)
        for headers in (None, stranger.headers):
            assert_error(upload(api, HARMFUL, headers=headers), "invalid_format", 400, REASON, "export it again")
        assert (count(database, Model), count(database, Render), stored(storage)) == (0, 0, [])
        uploaded(api, glb(b"another"))

    def test_is_not_rendered_again(self, api: TestClient, database: Database) -> None:
        good, bad = uploaded(api, glb(b"another"))["modelId"], uploaded(api, HARMFUL)["modelId"]
        before, renders = credits_of(api), count(database, Render)
        refuse(database)
        assert_error(api.post("/v1/renders", json={"modelId": bad}), "invalid_format", 400, bad, REASON)
        batch = {"renders": [{"modelId": good}, {"modelId": bad}]}
        assert_error(api.post("/v1/renders/batch", json=batch), "invalid_format", 400, bad, REASON)
        assert_error(upload(api, HARMFUL), "invalid_format", 400, REASON)
        assert (credits_of(api), count(database, Render)) == (before, renders)
        assert api.post("/v1/renders", json={"modelId": good}).status_code == 201

    def test_is_none_that_is_only_suspected(self, api: TestClient, database: Database) -> None:
        refuse(database, is_refused=False)
        assert credits_of(api) == INITIAL_CREDITS
        uploaded(api, HARMFUL)

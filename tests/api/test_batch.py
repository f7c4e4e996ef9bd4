"""Batches of renders: all or none."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from farm.accounts import accounts
from farm.db.session import Database
from farm.db.tables import Chunk, Render, Shot
from tests.support.api import assert_error, count, credits_of, uploaded
from tests.support.clients import Client, new_client
from tests.support.glb import glb


@pytest.fixture
def model_id(api: TestClient) -> str:
    return str(uploaded(api)["modelId"])


def batch(api: TestClient, *renders: Any) -> Any:
    return api.post("/v1/renders/batch", json={"renders": renders})


class TestBatch:
    def test_returns_the_renders_in_order(self, api: TestClient, model_id: str) -> None:
        other = uploaded(api, glb(b"other"))["modelId"]
        requests = [("16:9", model_id), ("1:1", model_id), ("9:16", other)]
        answer = batch(api, *({"modelId": id_, "renderSettings": {"aspect": aspect}} for aspect, id_ in requests))
        assert answer.status_code == 201
        data = answer.json()["data"]
        assert [set(render) for render in data] == [{"id", "modelId", "status", "metadata"}] * 3
        assert [(render["modelId"], render["status"]) for render in data] == [(id_, "pending") for _, id_ in requests]
        kept = [api.get(f"/v1/renders/{render['id']}").json()["data"] for render in data]
        assert [render["renderSettings"]["aspect"] for render in kept] == [aspect for aspect, _ in requests]

    def test_accepts_a_hundred_renders(self, api: TestClient, model_id: str) -> None:
        assert len(batch(api, *[{"modelId": model_id}] * 100).json()["data"]) == 100

    def test_shares_the_shots_of_equal_pixels(self, api: TestClient, model_id: str, database: Database) -> None:
        before = count(database, Shot)
        requests = [{"bgColor": "#000000"}, {"bgColor": "#ff8800"}, {"vignette": 0.5}, {"aspect": "1:1"}]
        batch(api, *({"modelId": model_id, "renderSettings": render_settings} for render_settings in requests))
        assert count(database, Shot) == before + 2

    def test_spreads_many_variants_over_several_shots(self, api: TestClient, model_id: str, database: Database) -> None:
        """A node encodes all variants of a shot concurrently, so their number is limited by its memory."""
        before = count(database, Shot)
        batch(api, *[{"modelId": model_id, "renderSettings": {"quality": "4k"}}] * 5)
        assert count(database, Shot) == before + 3

    def test_refuses_more_than_a_hundred_renders(self, api: TestClient, model_id: str, database: Database) -> None:
        before = count(database, Render)
        assert_error(batch(api, *[{"modelId": model_id}] * 101), "too_many", 400, "100")
        assert count(database, Render) == before

    @pytest.mark.parametrize(
        "body", [{}, {"renders": []}, {"renders": None}, {"renders": {}}, {"renders": "all"}, {"renders": 5}]
    )
    def test_requires_renders(self, api: TestClient, body: Any) -> None:
        assert_error(api.post("/v1/renders/batch", json=body), "renders_required", 400, "renders")

    @pytest.mark.parametrize(
        ("second", "code", "status", "words"),
        [
            ({}, "model_id_required", 400, ["renders[1]", "modelId"]),
            ({"modelId": None}, "model_id_required", 400, ["renders[1]", "modelId"]),
            ({"modelId": "Ab3kF9x2qL1m"}, "model_not_found", 404, ["renders[1]"]),
            ({"modelId": "\0"}, "model_not_found", 404, ["renders[1]"]),
            (
                {"modelId": "M", "renderSettings": {"zoom": 9}},
                "invalid_settings",
                400,
                ["renders[1].renderSettings.zoom is 9"],
            ),
            ({"modelId": "M", "renderSettings": []}, "invalid_settings", 400, ["renders[1].renderSettings must be"]),
            ({"modelId": "M", "settings": {}}, "invalid_request", 422, ["renders[1].settings"]),
            ({"modelId": "M", "renders": []}, "invalid_request", 422, ["renders[1].renders"]),
            (None, "invalid_request", 422, ["renders[1]"]),
            ("M", "invalid_request", 422, ["renders[1]"]),
            ([[[[]]]], "invalid_request", 422, ["renders[1]"]),
        ],
    )
    def test_names_the_wrong_item_and_queues_none(
        self, api: TestClient, model_id: str, database: Database, second: Any, code: str, status: int, words: list[str]
    ) -> None:
        before = {table: count(database, table) for table in (Render, Chunk)}
        left = credits_of(api)
        assert_error(batch(api, {"modelId": model_id}, second), code, status, *words)
        assert {table: count(database, table) for table in (Render, Chunk)} == before
        assert credits_of(api) == left

    @pytest.mark.parametrize(("field", "value"), [("length", 60), ("animation", "Fly")])
    def test_names_the_item_that_does_not_fit_the_model(
        self, api: TestClient, model_id: str, database: Database, field: str, value: Any
    ) -> None:
        before = count(database, Render)
        answer = batch(api, {"modelId": model_id}, {"modelId": model_id, "renderSettings": {field: value}})
        assert_error(answer, "invalid_settings", 400, f"renders[1].renderSettings.{field} is")
        assert count(database, Render) == before

    def test_does_not_find_models_of_other_accounts(self, api: TestClient, model_id: str, stranger: Client) -> None:
        api.headers.update(stranger.headers)
        assert_error(batch(api, {"modelId": model_id}), "model_not_found", 404, "renders[0]")


class TestCredits:
    def test_are_charged_for_all_or_none(self, public_api: TestClient, database: Database) -> None:
        public_api.headers.update(new_client(database, "poor@example.com", credits=10).headers)
        model_id = uploaded(public_api)["modelId"]
        before = count(database, Render)
        requests = [
            {"modelId": model_id, "renderSettings": {"quality": quality}}
            for quality in ("share", "standard", "standard", "share")
        ]
        assert_error(batch(public_api, *requests), "no_credits", 402, "10 needed", "9 left")
        assert (count(database, Render), credits_of(public_api)) == (before, 9)
        assert batch(public_api, *requests[:3]).status_code == 201
        assert (count(database, Render), credits_of(public_api)) == (before + 3, 0)


def test_requires_the_scope_renders_write(api: TestClient, model_id: str, client: Client, database: Database) -> None:
    with database.write() as db:
        key = accounts.create_key(db, client.account, scopes=["renders:read"])
    api.headers.update({"Authorization": f"Bearer {key}"})
    assert_error(batch(api, {"modelId": model_id}), "insufficient_scope", 403, "renders:write")

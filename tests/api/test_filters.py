"""Filters and order of lists, and the fields of uploads and orders by which clients find their objects again."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Model, Render
from farm.scheduling import render_status
from tests.api.test_overlays import sent
from tests.support.api import assert_error, uploaded
from tests.support.clients import Client
from tests.support.glb import glb

START = datetime.fromisoformat("2026-02-15T20:00:00.250700+00:00")


def ids(api: TestClient, path: str, **query: Any) -> list[str]:
    answer = api.get(f"/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["meta"]["total"] == len(body["data"])
    return [item["id"] for item in body["data"]]


def with_fields(api: TestClient, number: int, **fields: str) -> dict[str, Any]:
    """Upload a model, told from others by `number`, with these form fields."""
    answer = api.post("/v1/models", files={"file": (f"part-{number}.glb", glb(bytes([number])))}, data=fields)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


@pytest.fixture
def models(api: TestClient, database: Database) -> list[str]:
    """Three models, one second apart."""
    fields = [
        {"title": "Zebra chair", "sku": "EC-1", "externalId": "shop-1", "tags": "Office, garden"},
        {"title": "apple 100% table", "sku": "EC_2"},
        {"externalId": "shop-2"},
    ]
    made = [with_fields(api, number, **each)["modelId"] for number, each in enumerate(fields)]
    with database.write() as db:
        for number, id_ in enumerate(made):
            db.get_one(Model, id_).created_at = START + timedelta(seconds=number)
    return made


@pytest.mark.on_both_databases
class TestModels:
    def test_are_stored_with_the_fields_of_the_upload(self, api: TestClient, models: list[str]) -> None:
        model = api.get(f"/v1/models/{models[0]}").json()["data"]
        assert (model["title"], model["sku"], model["externalId"]) == ("Zebra chair", "EC-1", "shop-1")
        assert model["tags"] == ["office", "garden"]

    def test_are_sorted(self, api: TestClient, models: list[str]) -> None:
        zebra, apple, untitled = models
        assert ids(api, "models") == ids(api, "models", sort="-createdAt") == [untitled, apple, zebra]
        assert ids(api, "models", sort="createdAt") == [zebra, apple, untitled]
        assert ids(api, "models", sort="title") == [apple, untitled, zebra], "without title by the file's name"
        assert ids(api, "models", sort="-title") == [zebra, untitled, apple]

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            *[("CHAIR", [0]), ("ec", [1, 0]), ("part-2", [2]), ("shop", [2, 0]), ("100%", [1]), ("%", [1])],
            *[("C_2", [1]), ("_", [1]), ("sofa", []), ("", [2, 1, 0])],
        ],
    )
    def test_are_found_by_text(self, api: TestClient, models: list[str], text: str, found: list[int]) -> None:
        assert ids(api, "models", q=text) == [models[number] for number in found]

    @pytest.mark.parametrize("text", ["GRÜNER", "grüner", "ÖL", "стул", "СТУЛ"])
    def test_are_found_by_text_of_other_alphabets_in_any_case(
        self, api: TestClient, models: list[str], text: str
    ) -> None:
        title = {"title": "Grüner Öltisch, Стул"}
        assert api.patch(f"/v1/models/{models[1]}", json=title).status_code == 200
        assert ids(api, "models", q=text) == [models[1]]

    def test_are_found_by_external_id_ids_and_time(self, api: TestClient, models: list[str]) -> None:
        assert ids(api, "models", externalId="shop-2") == [models[2]]
        assert ids(api, "models", ids=f"{models[0]},{models[2]},Ab3kF9x2qL1m,x") == [models[2], models[0]]
        assert ids(api, "models", ids=[models[0], models[2]]) == [models[2], models[0]]
        assert ids(api, "models", ids="x") == []
        shown = api.get(f"/v1/models/{models[1]}").json()["data"]["createdAt"]
        assert ids(api, "models", createdAfter=shown) == [models[2]], "later than the time as the API shows it"
        for time in ("2026-02-15T21:00:00.251+01:00", "2026-02-15T20:00:00.251", "2026-02-15T19:00:00.251-0100"):
            assert ids(api, "models", createdAfter=time) == models[:0:-1]
        unescaped = api.get("/v1/models?createdAfter=2026-02-15T21:00:01+01:00").json()["meta"]["total"]
        assert unescaped == 2
        assert len(ids(api, "models", createdAfter="2026-02-15")) == 3

    @pytest.mark.parametrize("time", ["", "5", "tomorrow", "0001-01-01T00:00:00+23:00", "9" * 5000, "2026-13-01"])
    def test_are_not_listed_after_an_invalid_time(self, api: TestClient, time: str) -> None:
        assert_error(api.get("/v1/models", params={"createdAfter": time}), "invalid_request", 422, "createdAfter")

    def test_get_the_fields_of_another_upload_of_their_file(self, api: TestClient, models: list[str]) -> None:
        again = with_fields(api, 0, title="Zebra stool", tags="")
        assert again["duplicate"]
        model = api.get(f"/v1/models/{models[0]}").json()["data"]
        assert (model["title"], model["sku"], model["externalId"]) == ("Zebra stool", "EC-1", "shop-1")
        assert model["tags"] == []

    def test_change_their_external_id(self, api: TestClient, models: list[str]) -> None:
        changed = api.patch(f"/v1/models/{models[0]}", json={"externalId": "new"}).json()["data"]
        assert (changed["externalId"], changed["title"]) == ("new", "Zebra chair")
        assert api.patch(f"/v1/models/{models[0]}", json={"externalId": None}).json()["data"]["externalId"] is None

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *[("title", "x" * 256), ("sku", "a\0b"), ("externalId", "x" * 257), ("tags", ",".join("a" * 21))],
            *[("tags", "x" * 65), ("title", "x" * 9000), ("colour", "red"), ("external_id", "x")],
            ("tags", '["furniture", "office"]'),
        ],
    )
    def test_are_refused_with_wrong_fields(self, api: TestClient, field: str, value: str) -> None:
        answer = api.post("/v1/models", files={"file": ("a.glb", glb())}, data={field: value})
        assert_error(answer, "invalid_request", 422, field)
        assert ids(api, "models") == []


@pytest.mark.on_both_databases
class TestRenders:
    def test_echo_their_metadata_and_are_found_by_it(self, api: TestClient) -> None:
        model = uploaded(api)["modelId"]
        metadata = [{"order": "4711", "shop.id": "a:b"}, {"order": "4711"}, {"order": "47"}]
        first = api.post("/v1/renders", json={"modelId": model, "metadata": metadata[0]}).json()["data"]
        items = [{"modelId": model, "metadata": each} for each in metadata[1:]]
        batch = api.post("/v1/renders/batch", json={"renders": items}).json()["data"]
        made = [first, *batch]
        assert [each["metadata"] for each in made] == metadata
        for each in made:
            assert api.get(f"/v1/renders/{each['id']}").json()["data"]["metadata"] == each["metadata"]
        one, two, three = (each["id"] for each in made)
        assert set(ids(api, "renders", metadata="order:4711")) == {one, two}
        assert ids(api, "renders", metadata=["order:4711", "shop.id:a:b"]) == [one]
        assert ids(api, "renders", metadata="order:47") == [three]
        assert ids(api, "renders", metadata="order:") == []
        assert ids(api, "renders", metadata=["order:4711", "order:47"]) == [], "none has both"

    @pytest.mark.parametrize(
        "metadata",
        [{str(number): "" for number in range(21)}, {"a" * 65: ""}, {"": ""}, {"a": None}, {"a": "\0"}, ["a"]],
        ids=range(6),
    )
    def test_are_refused_with_wrong_metadata(self, api: TestClient, metadata: Any) -> None:
        model = uploaded(api)["modelId"]
        answer = api.post("/v1/renders", json={"modelId": model, "metadata": metadata})
        assert_error(answer, "invalid_request", 422, "metadata")
        assert len(ids(api, "renders")) == 2

    def test_are_found_by_their_model(self, api: TestClient, models: list[str]) -> None:
        found = ids(api, "renders", modelId=models[0])
        assert len(found) == 2
        assert ids(api, "renders", model=models[0]) == found
        assert set(ids(api, "renders", q="zebra")) == set(found)
        assert ids(api, "renders", model=models[0], modelId=models[0]) == found
        assert ids(api, "renders", model=models[0], modelId=models[1]) == [], "none is of both"

    def test_are_found_by_several_statuses_ids_and_time(self, api: TestClient, database: Database) -> None:
        model = uploaded(api)["modelId"]
        made = [api.post("/v1/renders", json={"modelId": model}).json()["data"]["id"] for _ in range(3)]
        with database.write() as db:
            for number, (id_, status) in enumerate(zip(made, ["poster-processing", "error", None], strict=True)):
                render = db.get_one(Render, id_)
                render.created_at = datetime.now(START.tzinfo) + timedelta(hours=number)
                if status:
                    render_status.advance(db, render, status)
        for query in ({"status": "poster-processing,error"}, {"status": ["error", "poster-processing"]}):
            assert ids(api, "renders", **query) == [made[1], made[0]]
        assert ids(api, "renders", sort="createdAt", ids=",".join(made)) == made
        shown = api.get(f"/v1/renders/{made[0]}").json()["data"]["createdAt"]
        assert ids(api, "renders", createdAfter=shown) == [made[2], made[1]]
        assert ids(api, "renders", sort="-updatedAt", status="error,pending", ids=",".join(made[1:]))[0] == made[1]

    def test_of_other_accounts_are_not_found(self, api: TestClient, stranger: Client) -> None:
        body = {"modelId": uploaded(api)["modelId"], "metadata": {"order": "1"}}
        render = api.post("/v1/renders", json=body).json()["data"]["id"]
        for query in ({"ids": render}, {"metadata": "order:1"}, {"q": "chair"}, {"modelId": body["modelId"]}):
            answer = api.get("/v1/renders", params=query, headers=stranger.headers)
            assert answer.json()["meta"]["total"] == 0


def test_overlays_are_sorted_and_found(api: TestClient) -> None:
    sky, logo = sent(api, name="Sky", description="Blue gradient"), sent(api, name="logo", layer="foreground")
    assert ids(api, "overlays", sort="name") == [logo, sky]
    assert ids(api, "overlays", sort="-name") == [sky, logo]
    assert ids(api, "overlays", q="BLUE") == [sky]
    assert ids(api, "overlays", ids=logo) == [logo]
    assert ids(api, "overlays", createdAfter="2020-01-01", layer="foreground") == [logo]

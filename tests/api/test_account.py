"""The account and quotes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from farm.accounts import accounts
from farm.db.session import Database
from tests.support.api import assert_error
from tests.support.clients import Client, new_client


@pytest.fixture
def api(public_api: TestClient, database: Database) -> TestClient:
    """The API, called by an account with 47 credits."""
    public_api.headers.update(new_client(database, "user@example.com", credits=47).headers)
    return public_api


def quote(api: TestClient, *renders: Any) -> Any:
    return api.post("/v1/quote", json={"renders": renders})


class TestAccount:
    def test_returns_the_account_of_the_key(self, public_api: TestClient, client: Client) -> None:
        answer = public_api.get("/v1/account", headers=client.headers)
        account = client.account
        assert answer.json() == {"data": {"id": account.id, "email": account.email, "credits": account.credits}}

    def test_starts_with_ten_credits(self, public_api: TestClient, database: Database) -> None:
        with database.write() as db:
            key = accounts.create_key(db, accounts.create(db, "new@example.com"))
        answer = public_api.get("/v1/account", headers={"Authorization": f"Bearer {key}"})
        assert answer.json()["data"]["credits"] == 10


IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


class TestQuote:
    def test_returns_the_example_of_the_reference(self, api: TestClient) -> None:
        answer = quote(
            api, {"quality": "standard"}, {"quality": "4k"}, {"output": "dataset", "datasetQuality": "196x1024"}
        )
        assert answer.status_code == 200
        assert answer.json() == {
            "data": {
                "creditsRequired": 36,
                "creditsAvailable": 47,
                "sufficient": True,
                "breakdown": [
                    {"quality": "standard", "credits": 4},
                    {"quality": "4k", "credits": 16},
                    {"datasetQuality": "196x1024", "credits": 16},
                ],
            }
        }

    @pytest.mark.parametrize(
        ("fields", "tier", "price"),
        [
            ({"views": 100}, "100x800", 4),
            ({"views": 300}, "196x1024", 16),
            ({"views": 400, "size": 2048}, "400x2048", 64),
            ({"views": 30, "datasetQuality": "196x1024"}, "196x1024", 16),
            ({"cameras": [IDENTITY] * 300}, "196x1024", 16),
            ({"cameras": {"frames": [{"transform_matrix": IDENTITY}] * 300}}, "196x1024", 16),
        ],
    )
    def test_prices_a_dataset_by_its_pixels(
        self, api: TestClient, fields: dict[str, Any], tier: str, price: int
    ) -> None:
        answer = quote(api, {"output": "dataset", **fields}).json()["data"]
        assert answer["breakdown"] == [{"datasetQuality": tier, "credits": price}]

    @pytest.mark.parametrize(
        "fields", [{"views": 19}, {"size": 201}, {"views": 1000, "size": 2048}, {"views": "x"}, {"cameras": []}]
    )
    def test_refuses_a_dataset_that_cannot_be_ordered(self, api: TestClient, fields: dict[str, Any]) -> None:
        assert_error(quote(api, {"output": "dataset", **fields}), "invalid_settings", 400, next(iter(fields)))

    def test_reports_insufficient_credits(self, api: TestClient) -> None:
        enough, too_much = (quote(api, *[{}] * number).json()["data"] for number in (47, 48))
        assert (enough["creditsRequired"], enough["sufficient"]) == (47, True)
        assert (too_much["creditsRequired"], too_much["sufficient"]) == (48, False)

    def test_ignores_settings_that_do_not_affect_the_price(self, api: TestClient) -> None:
        item = {
            "quality": "pro",
            "aspect": "1:1",
            "length": 6,
            "bgColor": "#000000",
            "animation": None,
        }
        assert quote(api, item).json()["data"]["breakdown"] == [{"quality": "pro", "credits": 64}]

    def test_uses_the_defaults_of_omitted_fields(self, api: TestClient) -> None:
        breakdown = quote(api, {}, {"output": "dataset"}, {"effect": "dataset"}).json()["data"]["breakdown"]
        dataset = {"datasetQuality": "100x800", "credits": 4}
        assert breakdown == [{"quality": "share", "credits": 1}, dataset, dataset]

    def test_charges_no_credits(self, api: TestClient) -> None:
        quote(api, {"quality": "4k"})
        assert api.get("/v1/account").json()["data"]["credits"] == 47

    def test_accepts_at_most_a_hundred_items(self, api: TestClient) -> None:
        assert len(quote(api, *[{}] * 100).json()["data"]["breakdown"]) == 100
        assert_error(quote(api, *[{}] * 101), "too_many", 400, "100")

    @pytest.mark.parametrize("body", [{}, {"renders": []}, {"renders": None}, {"renders": {"quality": "4k"}}])
    def test_requires_renders(self, api: TestClient, body: Any) -> None:
        assert_error(api.post("/v1/quote", json=body), "renders_required", 400)

    @pytest.mark.parametrize(
        ("item", "where"),
        [
            ({"quality": "8k"}, "renders[1].quality"),
            ({"quality": None}, "renders[1].quality"),
            ({"quality": []}, "renders[1].quality"),
            ({"output": "hologram"}, "renders[1].output"),
            ({"output": "dataset", "datasetQuality": "1x1"}, "renders[1].datasetQuality"),
            ({"effect": 5}, "renders[1].effect"),
        ],
    )
    def test_names_the_wrong_item(self, api: TestClient, item: Any, where: str) -> None:
        assert_error(quote(api, {}, item), "invalid_settings", 400, where)

    @pytest.mark.parametrize("item", [None, 5, "share", [], [[]]])
    def test_requires_objects(self, api: TestClient, item: Any) -> None:
        assert_error(quote(api, {}, item), "invalid_request", 422, "renders[1]")

"""Datasets over HTTP: created like a render, priced by tier, delivered as one ZIP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Render
from tests.support.api import assert_error, uploaded
from tests.support.finished_renders import Finish

DATASET: dict[str, Any] = {"output": "dataset", "datasetQuality": "196x1024", "coverage": "sphere"}


def ordered(api: TestClient, render_settings: dict[str, Any]) -> str:
    """The id of a render of an uploaded model with these settings."""
    body = {"modelId": uploaded(api)["modelId"], "renderSettings": render_settings}
    answer = api.post("/v1/renders", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


@pytest.fixture
def waiting(api: TestClient) -> str:
    """The path of a pending dataset."""
    return f"/v1/renders/{ordered(api, DATASET)}"


@pytest.fixture
def done(api: TestClient, finished: Finish) -> str:
    """The path of a finished dataset."""
    render = ordered(api, DATASET)
    finished(render)
    return f"/v1/renders/{render}"


class TestCameras:
    def test_are_in_the_render_but_not_in_lists(self, api: TestClient) -> None:
        cameras = [[[1.0, 0, 0, 0], [0, 0, -1.0, -4.0], [0, 1.0, 0, 0], [0, 0, 0, 1]]]
        render = ordered(api, {"output": "dataset", "cameras": cameras, "size": 2048})
        answer = api.get("/v1/renders", params={"ids": render})
        assert answer.status_code == 200, answer.text
        [listed] = answer.json()["data"]
        [in_model] = [
            each
            for each in api.get(f"/v1/models/{listed['modelId']}").json()["data"]["renders"]
            if each["id"] == render
        ]
        for found in (listed, in_model):
            assert found["renderSettings"]["size"] == 2048
            assert "cameras" not in found["renderSettings"]
        assert api.get(f"/v1/renders/{render}").json()["data"]["renderSettings"]["cameras"] == cameras


class TestOrder:
    def test_returns_its_settings_and_progress_in_views(self, api: TestClient, waiting: str) -> None:
        render = api.get(waiting).json()["data"]
        assert render["renderSettings"].items() >= DATASET.items()
        assert render["progress"] == {"frames": 0, "of": 196}
        assert (render["status"], render["fileSize"]) == ("pending", None)

    @pytest.mark.parametrize(
        ("render_settings", "price"),
        [
            ({"output": "dataset"}, 4),
            ({"effect": "dataset"}, 4),
            ({"output": "dataset", "datasetQuality": "196x1024"}, 16),
            ({"output": "dataset", "datasetQuality": "400x2048", "quality": "pro"}, 64),
        ],
    )
    def test_costs_the_price_of_its_tier_and_quote(
        self, api: TestClient, render_settings: dict[str, Any], price: int
    ) -> None:
        model = uploaded(api)["modelId"]
        before = api.get("/v1/account").json()["data"]["credits"]
        api.post("/v1/renders", json={"modelId": model, "renderSettings": render_settings})
        assert api.get("/v1/account").json()["data"]["credits"] == before - price
        assert api.post("/v1/quote", json={"renders": [render_settings]}).json()["data"]["creditsRequired"] == price

    def test_has_its_own_shot_split_into_chunks_of_views(
        self, api: TestClient, database: Database, waiting: str
    ) -> None:
        other = ordered(api, DATASET)
        with database.read() as db:
            shot = db.get_one(Render, waiting.rpartition("/")[2]).shot
            chunks = [(chunk.first_frame, chunk.frames) for chunk in shot.chunks]
            assert len(chunks) > 1
            assert [first for first, _ in chunks] == [sum(views for _, views in chunks[:n]) for n in range(len(chunks))]
            assert sum(views for _, views in chunks) == 196
            assert db.get_one(Render, other).shot_id != shot.id

    @pytest.mark.parametrize(
        ("render_settings", "field"),
        [
            ({"datasetQuality": "100x800"}, "datasetQuality"),
            ({"coverage": "sphere"}, "coverage"),
            ({"output": "dataset", "datasetQuality": "100x801"}, "datasetQuality"),
            ({"output": "dataset", "coverage": "dome"}, "coverage"),
            ({"output": "dataset", "sweepAngle": 90}, "sweepAngle"),
            ({"output": "dataset", "effect": "showcase"}, "effect"),
            ({"output": "dataset", "animation": "Walk"}, "animation"),
        ],
    )
    def test_is_refused_with_wrong_settings_at_no_cost(
        self, api: TestClient, render_settings: dict[str, Any], field: str
    ) -> None:
        model = uploaded(api)["modelId"]
        before = api.get("/v1/account").json()["data"]["credits"]
        answer = api.post("/v1/renders", json={"modelId": model, "renderSettings": render_settings})
        assert_error(answer, "invalid_settings", 400, f"renderSettings.{field} ")
        assert api.get("/v1/account").json()["data"]["credits"] == before


class TestFiles:
    def test_are_one_zip_that_can_be_resumed(self, api: TestClient, done: str) -> None:
        whole = api.get(f"{done}/bundle")
        assert (whole.status_code, whole.headers["content-type"]) == (200, "application/zip")
        assert whole.content == b"the dataset " * 1000
        assert 'filename="chair-dataset-196x1024-' in whole.headers["content-disposition"]
        part = api.get(f"{done}/bundle", headers={"Range": "bytes=100-"})
        assert (part.status_code, part.content) == (206, whole.content[100:])
        again = api.get(f"{done}/bundle", headers={"If-None-Match": whole.headers["etag"]})
        assert again.status_code == 304

    @pytest.mark.parametrize("sent", [{}, {"Range": "bytes=100-"}, {"If-None-Match": "*"}])
    def test_may_be_cached_permanently(self, api: TestClient, done: str, sent: dict[str, str]) -> None:
        assert "immutable" in api.get(f"{done}/bundle", headers=sent).headers["cache-control"]

    def test_have_the_size_of_the_zip(self, api: TestClient, done: str) -> None:
        assert api.get(done).json()["data"]["fileSize"] == len(b"the dataset " * 1000)

    def test_have_the_first_view_as_the_poster(self, api: TestClient, done: str) -> None:
        assert api.get(f"{done}/poster").content == b"the small poster"
        assert api.get(f"{done}/poster?quality=full").status_code == 200

    @pytest.mark.parametrize("kind", ["video", "video?quality=web", "thumb"])
    def test_include_no_video(self, api: TestClient, done: str, kind: str) -> None:
        code = "thumb_not_found" if kind == "thumb" else "video_not_found"
        assert_error(api.get(f"{done}/{kind}"), code, 404, "dataset", "bundle")

    def test_are_not_found_before_it_is_done(self, api: TestClient, waiting: str) -> None:
        assert_error(api.get(f"{waiting}/bundle"), "video_not_found", 404)
        assert_error(api.get(f"{waiting}/poster"), "poster_not_found", 404)

    def test_are_deleted_with_the_render(self, api: TestClient, done: str) -> None:
        assert api.delete(done).status_code == 200
        assert_error(api.get(f"{done}/bundle"), "render_not_found", 404)

"""Renders over HTTP: create, list, get, dismiss, delete."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from farm.db.session import Database
from farm.db.tables import Asset, Chunk, Render, Shot
from farm.scheduling import leases, render_status
from farm.settings import Settings
from tests.api.test_models import MOMENT
from tests.support.api import assert_error, count, files_in, uploaded
from tests.support.chunks import claimed
from tests.support.clients import Client
from tests.support.finished_renders import Finish
from tests.support.glb import glb


@pytest.fixture
def model_id(api: TestClient) -> str:
    return str(uploaded(api)["modelId"])


def ordered(api: TestClient, model_id: str, **settings: Any) -> dict[str, Any]:
    answer = api.post("/v1/renders", json={"modelId": model_id, "renderSettings": settings})
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


class TestCreateRender:
    def test_returns_the_pending_render_with_all_settings(self, api: TestClient, model_id: str) -> None:
        data = ordered(api, model_id, aspect="9:16", length=4.5)
        assert set(data) == {"id", "modelId", "status", "metadata", "renderSettings"}
        assert (data["modelId"], data["status"]) == (model_id, "pending")
        assert data["renderSettings"]["aspect"] == "9:16"
        assert data["renderSettings"]["shadows"] is True

    def test_can_be_read_immediately(self, api: TestClient, model_id: str) -> None:
        assert api.get(f"/v1/renders/{ordered(api, model_id)['id']}").status_code == 200

    @pytest.mark.parametrize("render_settings", [{}, {"renderSettings": None}, {"renderSettings": {}}])
    def test_accepts_omitted_settings(self, api: TestClient, model_id: str, render_settings: dict[str, Any]) -> None:
        assert api.post("/v1/renders", json={"modelId": model_id, **render_settings}).status_code == 201

    @pytest.mark.parametrize("body", [{}, {"renderSettings": {}}, {"modelId": None}, {"modelId": 5}])
    def test_requires_a_model_id(self, api: TestClient, body: Any) -> None:
        assert_error(api.post("/v1/renders", json=body), "model_id_required", 400, "modelId")

    @pytest.mark.parametrize("unknown", ["Ab3kF9x2qL1m", "", "\0", "a" * 5000, "' OR 1=1 --"])
    def test_requires_an_existing_model(self, api: TestClient, unknown: str) -> None:
        assert_error(api.post("/v1/renders", json={"modelId": unknown}), "model_not_found", 404)

    def test_does_not_find_models_of_other_accounts(self, api: TestClient, model_id: str, stranger: Client) -> None:
        answer = api.post("/v1/renders", json={"modelId": model_id}, headers=stranger.headers)
        assert_error(answer, "model_not_found", 404)

    @pytest.mark.parametrize(
        ("render_settings", "words"),
        [
            ({"zoom": 3}, ["renderSettings.zoom", "3", "0.5 to 2"]),
            ({"shadows": "yes"}, ["renderSettings.shadows", "true or false"]),
            ({"colour": "#ffffff"}, ["renderSettings.colour", "Known fields"]),
            ([], ["JSON object"]),
            ("{}", ["JSON object"]),
            (5, ["JSON object"]),
        ],
    )
    def test_names_wrong_settings(self, api: TestClient, model_id: str, render_settings: Any, words: list[str]) -> None:
        answer = api.post("/v1/renders", json={"modelId": model_id, "renderSettings": render_settings})
        assert_error(answer, "invalid_settings", 400, *words)

    def test_refuses_an_unknown_overlay_and_queues_nothing(
        self, api: TestClient, model_id: str, database: Database
    ) -> None:
        before = count(database, Render)
        render_settings = {"modelId": model_id, "renderSettings": {"bgImageId": "Ab3kF9x2qL1m"}}
        words = ["renderSettings.bgImageId", "Ab3kF9x2qL1m", "overlay"]
        assert_error(api.post("/v1/renders", json=render_settings), "invalid_settings", 400, *words)
        assert count(database, Render) == before

    def test_refuses_a_misspelt_field(self, api: TestClient, model_id: str) -> None:
        answer = api.post("/v1/renders", json={"modelId": model_id, "rendersettings": {"length": 3}})
        assert_error(answer, "invalid_request", 422, "rendersettings")

    def test_refuses_a_body_above_the_size_limit(self, api: TestClient) -> None:
        answer = api.post("/v1/renders", json={"modelId": "x" * 2_000_000})
        assert_error(answer, "body_too_large", 413)

    def test_reports_a_failed_commit(self, api: TestClient, model_id: str, database: Database) -> None:
        def fail(*_: object) -> None:
            raise OSError("the disk is full")

        engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
        before = count(database, Render)
        event.listen(engine, "commit", fail)
        answer = api.post("/v1/renders", json={"modelId": model_id})
        event.remove(engine, "commit", fail)
        assert_error(answer, "internal", 500)
        assert count(database, Render) == before


class TestListRenders:
    def test_returns_the_newest_first_with_the_page(self, api: TestClient, model_id: str) -> None:
        newest = ordered(api, model_id)["id"]
        answer = api.get("/v1/renders").json()
        assert set(answer) == {"data", "meta"}
        assert answer["meta"] == {"total": 3, "offset": 0, "limit": 50}
        assert answer["data"][0]["id"] == newest
        moments = [render["createdAt"] for render in answer["data"]]
        assert moments == sorted(moments, reverse=True)

    def test_returns_every_render_on_one_page(self, api: TestClient, model_id: str) -> None:
        for _ in range(3):
            ordered(api, model_id)
        pages = [api.get("/v1/renders", params={"limit": 2, "offset": offset}).json() for offset in (0, 2, 4, 6)]
        assert [len(page["data"]) for page in pages] == [2, 2, 1, 0]
        assert {page["meta"]["total"] for page in pages} == {5}
        assert len({render["id"] for page in pages for render in page["data"]}) == 5

    def test_filters_by_model_and_by_status(self, api: TestClient, model_id: str, finished: Finish) -> None:
        other = uploaded(api, glb(b"other"))
        finished(other["renderId"])
        totals = {
            query: api.get(f"/v1/renders?{query}").json()["meta"]["total"]
            for query in (f"model={model_id}", "model=nothing", "status=done", "status=pending", "status=error")
        }
        assert list(totals.values()) == [2, 0, 1, 3, 0]
        assert api.get(f"/v1/renders?status=done&model={model_id}").json()["data"] == []

    def test_shows_no_renders_of_other_accounts(self, api: TestClient, model_id: str, stranger: Client) -> None:
        for query in ("", f"?model={model_id}"):
            answer = api.get(f"/v1/renders{query}", headers=stranger.headers).json()
            assert (answer["data"], answer["meta"]["total"]) == ([], 0)

    @pytest.mark.parametrize(
        "query",
        [
            *["limit=0", "limit=101", "limit=-1", "limit=ten", "limit=", "offset=-1", "offset=1e3"],
            *["offset=99999999999999999999", "status=finished"],
        ],
    )
    def test_refuses_invalid_queries(self, api: TestClient, query: str) -> None:
        assert_error(api.get(f"/v1/renders?{query}"), "invalid_request", 422, query.split("=")[0])


class TestGetRender:
    def test_shows_a_pending_render(self, api: TestClient) -> None:
        data = uploaded(api, settings='{"length": 3}')
        render = api.get(f"/v1/renders/{data['renderId']}").json()["data"]
        assert MOMENT.fullmatch(render.pop("createdAt"))
        assert MOMENT.fullmatch(render.pop("updatedAt"))
        assert render.pop("renderSettings")["length"] == 3
        assert render == {
            "id": data["renderId"],
            "modelId": data["modelId"],
            "status": "pending",
            "is_system_preview": False,
            "metadata": {},
            "fileSize": None,
            "errorMessage": None,
            "hasWebVariant": False,
            "progress": {"frames": 0, "of": 90},
        }

    def test_counts_frames_during_rendering(self, api: TestClient, model_id: str, database: Database) -> None:
        render_id = ordered(api, model_id, length=3)["id"]
        with database.write() as db:
            chunk = claimed(db, db.get_one(Render, render_id).shot.chunks[0])
            leases.renew(db, chunk.id, chunk.attempt, frames_done=12, seconds=30)
            render_status.advance(db, db.get_one(Render, render_id), "poster-processing")
        render = api.get(f"/v1/renders/{render_id}").json()["data"]
        assert (render["status"], render["progress"]) == ("poster-processing", {"frames": 12, "of": 90})

    def test_shows_the_size_of_a_finished_video(self, api: TestClient, model_id: str, finished: Finish) -> None:
        render_id = ordered(api, model_id)["id"]
        files = finished(render_id)
        render = api.get(f"/v1/renders/{render_id}").json()["data"]
        assert (render["status"], render["fileSize"]) == ("done", len(files["video"]))

    def test_has_the_reason_of_a_failure(self, api: TestClient, model_id: str, database: Database) -> None:
        render_id = ordered(api, model_id)["id"]
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render_id), "error", message="The model has no mesh")
        render = api.get(f"/v1/renders/{render_id}").json()["data"]
        assert (render["status"], render["errorMessage"]) == ("error", "The model has no mesh")
        assert_error(api.get(f"/v1/renders/{render_id}/video"), "video_not_found", 404)

    def test_does_not_find_unknown_and_foreign_ids(self, api: TestClient, model_id: str, stranger: Client) -> None:
        render_id = ordered(api, model_id)["id"]
        for method in ("GET", "DELETE"):
            assert_error(api.request(method, "/v1/renders/Xz7pQ4w8nR2k"), "render_not_found", 404)
            assert_error(api.request(method, "/v1/renders/%00"), "render_not_found", 404)
            answer = api.request(method, f"/v1/renders/{render_id}", headers=stranger.headers)
            assert_error(answer, "render_not_found", 404)
        for file in ("video", "poster", "thumb"):
            assert_error(api.get(f"/v1/renders/{render_id}/{file}", headers=stranger.headers), "render_not_found", 404)


class TestDismissRender:
    def test_changes_error_to_failed_and_keeps_the_reason(
        self, api: TestClient, model_id: str, database: Database
    ) -> None:
        render_id = ordered(api, model_id)["id"]
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render_id), "error", message="The model has no mesh")
        for _ in range(2):
            answer = api.patch(f"/v1/renders/{render_id}/dismiss")
            render = answer.json()["data"]
            assert (answer.status_code, render["status"]) == (200, "failed")
            assert render["errorMessage"] == "The model has no mesh"
            assert api.get(f"/v1/renders/{render_id}").json()["data"] == render
        assert [row["id"] for row in api.get("/v1/renders?status=failed").json()["data"]] == [render_id]
        assert api.get("/v1/renders?status=error").json()["data"] == []

    @pytest.mark.parametrize("reached", render_status.ORDER)
    def test_leaves_any_other_status_unchanged(
        self, api: TestClient, model_id: str, database: Database, reached: str
    ) -> None:
        render_id = ordered(api, model_id)["id"]
        with database.write() as db:
            for status in render_status.ORDER[: render_status.ORDER.index(reached) + 1]:
                render_status.advance(db, db.get_one(Render, render_id), status)
        assert_error(api.patch(f"/v1/renders/{render_id}/dismiss"), "conflict", 409, reached)
        assert api.get(f"/v1/renders/{render_id}").json()["data"]["status"] == reached

    def test_does_not_find_unknown_and_foreign_ids(self, api: TestClient, model_id: str, stranger: Client) -> None:
        render_id = ordered(api, model_id)["id"]
        for path, headers in (("Xz7pQ4w8nR2k", {}), ("%00", {}), (render_id, stranger.headers)):
            assert_error(api.patch(f"/v1/renders/{path}/dismiss", headers=headers), "render_not_found", 404)


class TestStatements:
    """The number of SQL statements does not depend on the amount of data."""

    @pytest.mark.parametrize("path", ["/v1/renders?limit=100", "/v1/renders?limit=100&status=done", "/v1/renders/ID"])
    def test_do_not_grow_with_the_number_of_renders(
        self, api: TestClient, model_id: str, finished: Finish, path: str
    ) -> None:
        first = ordered(api, model_id)["id"]
        finished(first)
        path = path.replace("ID", first)
        few = self._statements(api, path)
        for _ in range(10):
            finished(ordered(api, model_id)["id"])
        assert self._statements(api, path) == few <= 5

    @staticmethod
    def _statements(api: TestClient, path: str) -> int:
        statements: list[str] = []

        def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if not statement.startswith("BEGIN"):
                statements.append(statement)

        assert api.get(path).status_code == 200, "records the use of the key, which must not be counted"
        engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", record)
        assert api.get(path).status_code == 200
        event.remove(engine, "before_cursor_execute", record)
        return len(statements)


class TestDeleteRender:
    def test_removes_the_render_its_files_and_its_work(
        self, api: TestClient, database: Database, settings: Settings, finished: Finish
    ) -> None:
        data = uploaded(api)
        finished(data["renderId"])
        assert len(files_in(settings.files)) == 6
        answer = api.delete(f"/v1/renders/{data['renderId']}")
        assert (answer.status_code, answer.json()) == (200, {"data": {"id": data["renderId"], "deleted": True}})
        assert_error(api.get(f"/v1/renders/{data['renderId']}"), "render_not_found", 404)
        assert files_in(settings.files) == [f"models/{data['modelId']}.glb"]
        left = {table: count(database, table) for table in (Render, Shot, Chunk, Asset)}
        assert list(left.values()) == [1, 1, 1, 0], "only the preview is left"

    def test_is_not_found_the_second_time(self, api: TestClient) -> None:
        render_id = uploaded(api)["renderId"]
        assert api.delete(f"/v1/renders/{render_id}").status_code == 200
        assert_error(api.delete(f"/v1/renders/{render_id}"), "render_not_found", 404)

    def test_ends_the_lease_of_its_worker(self, api: TestClient, database: Database) -> None:
        render_id = uploaded(api)["renderId"]
        with database.write() as db:
            chunk = claimed(db, db.get_one(Render, render_id).shot.chunks[0])
        api.delete(f"/v1/renders/{render_id}")
        with database.write() as db:
            assert not leases.renew(db, chunk.id, chunk.attempt, frames_done=1, seconds=30)

    def test_keeps_a_shot_that_another_render_uses(self, api: TestClient, database: Database, model_id: str) -> None:
        first, second = ordered(api, model_id)["id"], ordered(api, model_id)["id"]
        with database.write() as db:
            shot = db.get_one(Render, first).shot
            db.get_one(Render, second).shot_id = shot.id
        api.delete(f"/v1/renders/{first}")
        assert api.get(f"/v1/renders/{second}").json()["data"]["progress"]["of"] == shot.frames
        with database.read() as db:
            assert db.get(Shot, shot.id)

    def test_keeps_the_files_if_the_commit_fails(self, api: TestClient, settings: Settings, finished: Finish) -> None:
        def fail(*_: object) -> None:
            raise OSError("the disk is full")

        render_id = uploaded(api)["renderId"]
        finished(render_id)
        before = files_in(settings.files)
        engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "commit", fail)
        assert_error(api.delete(f"/v1/renders/{render_id}"), "internal", 500)
        event.remove(engine, "commit", fail)
        assert files_in(settings.files) == before
        assert api.get(f"/v1/renders/{render_id}/video").status_code == 200

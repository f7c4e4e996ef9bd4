"""Ordering, listing, looking at and deleting renders."""

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
    def test_answers_with_the_pending_render_and_all_its_settings(self, api: TestClient, model_id: str) -> None:
        data = ordered(api, model_id, aspect="9:16", length=4.5)
        assert set(data) == {"id", "modelId", "status", "renderSettings"}
        assert (data["modelId"], data["status"]) == (model_id, "pending")
        assert data["renderSettings"]["aspect"] == "9:16"
        assert data["renderSettings"]["shadows"] is True

    def test_can_be_read_at_once(self, api: TestClient, model_id: str) -> None:
        assert api.get(f"/v1/renders/{ordered(api, model_id)['id']}").status_code == 200

    @pytest.mark.parametrize("render_settings", [{}, {"renderSettings": None}, {"renderSettings": {}}])
    def test_settings_may_be_left_out(self, api: TestClient, model_id: str, render_settings: dict[str, Any]) -> None:
        assert api.post("/v1/renders", json={"modelId": model_id, **render_settings}).status_code == 201

    @pytest.mark.parametrize("body", [{}, {"renderSettings": {}}, {"modelId": None}, {"modelId": 5}])
    def test_wants_a_model_id(self, api: TestClient, body: Any) -> None:
        assert_error(api.post("/v1/renders", json=body), "model_id_required", 400, "modelId")

    @pytest.mark.parametrize("unknown", ["Ab3kF9x2qL1m", "", "\0", "a" * 5000, "' OR 1=1 --"])
    def test_wants_a_model_that_is_there(self, api: TestClient, unknown: str) -> None:
        assert_error(api.post("/v1/renders", json={"modelId": unknown}), "model_not_found", 404)

    def test_another_accounts_model_is_not_there(self, api: TestClient, model_id: str, stranger: Client) -> None:
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
    def test_wrong_settings_are_named(
        self, api: TestClient, model_id: str, render_settings: Any, words: list[str]
    ) -> None:
        answer = api.post("/v1/renders", json={"modelId": model_id, "renderSettings": render_settings})
        assert_error(answer, "invalid_settings", 400, *words)

    def test_an_overlay_that_is_not_there_is_refused_and_nothing_is_queued(
        self, api: TestClient, model_id: str, database: Database
    ) -> None:
        before = count(database, Render)
        render_settings = {"modelId": model_id, "renderSettings": {"bgImageId": "Ab3kF9x2qL1m"}}
        words = ["renderSettings.bgImageId", "Ab3kF9x2qL1m", "overlay"]
        assert_error(api.post("/v1/renders", json=render_settings), "invalid_settings", 400, *words)
        assert count(database, Render) == before

    def test_a_misspelt_field_is_not_passed_over(self, api: TestClient, model_id: str) -> None:
        answer = api.post("/v1/renders", json={"modelId": model_id, "rendersettings": {"length": 3}})
        assert_error(answer, "invalid_request", 422, "rendersettings")

    def test_a_body_beyond_any_sense_is_cut_off(self, api: TestClient) -> None:
        answer = api.post("/v1/renders", json={"modelId": "x" * 2_000_000})
        assert_error(answer, "body_too_large", 413)

    def test_a_commit_that_fails_is_an_error_and_not_a_lie(
        self, api: TestClient, model_id: str, database: Database
    ) -> None:
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
    def test_shows_the_newest_first_with_where_the_page_lies(self, api: TestClient, model_id: str) -> None:
        newest = ordered(api, model_id)["id"]
        answer = api.get("/v1/renders").json()
        assert set(answer) == {"data", "meta"}
        assert answer["meta"] == {"total": 3, "offset": 0, "limit": 50}
        assert answer["data"][0]["id"] == newest
        moments = [render["createdAt"] for render in answer["data"]]
        assert moments == sorted(moments, reverse=True)

    def test_pages_cover_everything_once(self, api: TestClient, model_id: str) -> None:
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

    def test_shows_nothing_of_another_account(self, api: TestClient, model_id: str, stranger: Client) -> None:
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
    def test_refuses_what_it_cannot_do(self, api: TestClient, query: str) -> None:
        assert_error(api.get(f"/v1/renders?{query}"), "invalid_request", 422, query.split("=")[0])


class TestGetRender:
    def test_shows_a_waiting_render(self, api: TestClient) -> None:
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
            "fileSize": None,
            "errorMessage": None,
            "hasWebVariant": False,
            "progress": {"frames": 0, "of": 90},
        }

    def test_counts_the_frames_while_a_worker_draws(self, api: TestClient, model_id: str, database: Database) -> None:
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

    def test_says_why_a_render_failed(self, api: TestClient, model_id: str, database: Database) -> None:
        render_id = ordered(api, model_id)["id"]
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render_id), "error", message="The model holds no mesh")
        render = api.get(f"/v1/renders/{render_id}").json()["data"]
        assert (render["status"], render["errorMessage"]) == ("error", "The model holds no mesh")
        assert_error(api.get(f"/v1/renders/{render_id}/video"), "video_not_found", 404)

    def test_unknown_and_foreign_ids_are_not_found(self, api: TestClient, model_id: str, stranger: Client) -> None:
        render_id = ordered(api, model_id)["id"]
        for method in ("GET", "DELETE"):
            assert_error(api.request(method, "/v1/renders/Xz7pQ4w8nR2k"), "render_not_found", 404)
            assert_error(api.request(method, "/v1/renders/%00"), "render_not_found", 404)
            answer = api.request(method, f"/v1/renders/{render_id}", headers=stranger.headers)
            assert_error(answer, "render_not_found", 404)
        for file in ("video", "poster", "thumb"):
            assert_error(api.get(f"/v1/renders/{render_id}/{file}", headers=stranger.headers), "render_not_found", 404)


class TestDismissRender:
    def test_turns_an_error_into_a_failure_that_still_says_why(
        self, api: TestClient, model_id: str, database: Database
    ) -> None:
        render_id = ordered(api, model_id)["id"]
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render_id), "error", message="The model holds no mesh")
        for _ in range(2):
            answer = api.patch(f"/v1/renders/{render_id}/dismiss")
            render = answer.json()["data"]
            assert (answer.status_code, render["status"]) == (200, "failed")
            assert render["errorMessage"] == "The model holds no mesh"
            assert api.get(f"/v1/renders/{render_id}").json()["data"] == render
        assert [row["id"] for row in api.get("/v1/renders?status=failed").json()["data"]] == [render_id]
        assert api.get("/v1/renders?status=error").json()["data"] == []

    @pytest.mark.parametrize("reached", render_status.ORDER)
    def test_any_other_render_stays_as_it_is(
        self, api: TestClient, model_id: str, database: Database, reached: str
    ) -> None:
        render_id = ordered(api, model_id)["id"]
        with database.write() as db:
            for status in render_status.ORDER[: render_status.ORDER.index(reached) + 1]:
                render_status.advance(db, db.get_one(Render, render_id), status)
        assert_error(api.patch(f"/v1/renders/{render_id}/dismiss"), "conflict", 409, reached)
        assert api.get(f"/v1/renders/{render_id}").json()["data"]["status"] == reached

    def test_unknown_and_foreign_ids_are_not_found(self, api: TestClient, model_id: str, stranger: Client) -> None:
        render_id = ordered(api, model_id)["id"]
        for path, headers in (("Xz7pQ4w8nR2k", {}), ("%00", {}), (render_id, stranger.headers)):
            assert_error(api.patch(f"/v1/renders/{path}/dismiss", headers=headers), "render_not_found", 404)


class TestStatements:
    """How often the database is asked does not depend on how much there is."""

    @pytest.mark.parametrize("path", ["/v1/renders?limit=100", "/v1/renders?limit=100&status=done", "/v1/renders/ID"])
    def test_are_as_many_for_many_renders_as_for_one(
        self, api: TestClient, model_id: str, finished: Finish, path: str
    ) -> None:
        first = ordered(api, model_id)["id"]
        finished(first)
        path = path.replace("ID", first)
        few = self._statements(api, path)
        for _ in range(10):
            finished(ordered(api, model_id)["id"])
        assert self._statements(api, path) == few <= 4

    @staticmethod
    def _statements(api: TestClient, path: str) -> int:
        statements: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if not statement.startswith("BEGIN"):
                statements.append(statement)

        assert api.get(path).status_code == 200, "the key's first use is noted before we count"
        engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "before_cursor_execute", note)
        assert api.get(path).status_code == 200
        event.remove(engine, "before_cursor_execute", note)
        return len(statements)


class TestDeleteRender:
    def test_takes_the_render_its_files_and_its_work_away(
        self, api: TestClient, database: Database, settings: Settings, finished: Finish
    ) -> None:
        data = uploaded(api)
        finished(data["renderId"])
        assert len(files_in(settings.files)) == 5
        answer = api.delete(f"/v1/renders/{data['renderId']}")
        assert (answer.status_code, answer.json()) == (200, {"data": {"id": data["renderId"], "deleted": True}})
        assert_error(api.get(f"/v1/renders/{data['renderId']}"), "render_not_found", 404)
        assert files_in(settings.files) == [f"models/{data['modelId']}.glb"]
        left = {table: count(database, table) for table in (Render, Shot, Chunk, Asset)}
        assert list(left.values()) == [1, 1, 1, 0], "the preview alone is left"

    def test_twice_is_not_found(self, api: TestClient) -> None:
        render_id = uploaded(api)["renderId"]
        assert api.delete(f"/v1/renders/{render_id}").status_code == 200
        assert_error(api.delete(f"/v1/renders/{render_id}"), "render_not_found", 404)

    def test_a_worker_that_is_busy_with_it_loses_its_claim(self, api: TestClient, database: Database) -> None:
        render_id = uploaded(api)["renderId"]
        with database.write() as db:
            chunk = claimed(db, db.get_one(Render, render_id).shot.chunks[0])
        api.delete(f"/v1/renders/{render_id}")
        with database.write() as db:
            assert not leases.renew(db, chunk.id, chunk.attempt, frames_done=1, seconds=30)

    def test_a_shot_that_another_render_uses_stays(self, api: TestClient, database: Database, model_id: str) -> None:
        first, second = ordered(api, model_id)["id"], ordered(api, model_id)["id"]
        with database.write() as db:
            shot = db.get_one(Render, first).shot
            db.get_one(Render, second).shot_id = shot.id
        api.delete(f"/v1/renders/{first}")
        assert api.get(f"/v1/renders/{second}").json()["data"]["progress"]["of"] == shot.frames
        with database.read() as db:
            assert db.get(Shot, shot.id)

    def test_the_files_stay_when_the_commit_fails(self, api: TestClient, settings: Settings, finished: Finish) -> None:
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

"""`farm remote`: the typed client from a shell, against the real API."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.db.session import Database
from farm.db.tables import Render
from farm.scheduling import render_status
from tests.support.clients import Client
from tests.support.finished_renders import Finish
from tests.support.glb import glb


@pytest.fixture(autouse=True)
def environment(url: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that knows the farm and the key, with a model in its working directory."""
    monkeypatch.setattr("plinth_client.calls.FIRST_RETRY_DELAY_SECONDS", 0.001)
    monkeypatch.setenv("FARM_API_URL", url)
    monkeypatch.setenv("FARM_API_KEY", client.key)
    monkeypatch.chdir(tmp_path)
    Path("chair.glb").write_bytes(glb())


def remote(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["remote", *arguments])


def done(*arguments: str) -> str:
    result = remote(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    result = remote(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), "otherwise a traceback"
    [line] = result.stderr.strip().split("\n")
    return line


def test_works_from_upload_to_download(finished: Finish) -> None:
    uploaded = json.loads(done("upload", "chair.glb", "--set", "aspect=1:1", "--json"))
    render_id = uploaded["renderId"]
    assert done("status", render_id).startswith("pending, 0/")
    files = finished(render_id)
    assert done("wait", render_id).startswith("done, ")
    for what, kind in (("video", "video"), ("thumb", "thumb"), ("poster", "poster"), ("poster-full", "poster-full")):
        assert done("download", render_id, "--what", what, "-o", f"out/{what}") == f"out/{what}\n"
        assert Path("out", what).read_bytes() == files[kind]
    again = json.loads(done("render", uploaded["modelId"], "--set", "length=4", "--json"))
    assert again["renderSettings"]["length"] == 4
    listed = done("list").splitlines()
    assert len(listed) == 3
    assert again["id"] in listed[0]
    assert [words in line for words, line in zip(("length=4", "aspect=1:1", "preview"), listed, strict=True)] == [
        True
    ] * 3
    assert [item["id"] for item in json.loads(done("list", "--status", "done", "--json"))] == [render_id]


def test_gives_models_and_renders_what_a_shop_knows_them_by(url: str, client: Client) -> None:
    given = ("--title", "Ergonomic Chair", "--sku", "EC-1001", "--external-id", "4711", "--tags", "oak,new")
    uploaded = json.loads(done("upload", "chair.glb", *given, "--json"))
    answer = httpx.get(f"{url}/v1/models/{uploaded['modelId']}", headers=client.headers).json()["data"]
    assert [answer[name] for name in ("title", "sku", "externalId")] == ["Ergonomic Chair", "EC-1001", "4711"]
    assert sorted(answer["tags"]) == ["new", "oak"]
    pairs = ("--metadata", "order=47=11", "--metadata", "colour=red")
    queued = json.loads(done("render", uploaded["modelId"], *pairs, "--json"))
    assert queued["metadata"] == {"order": "47=11", "colour": "red"}


def test_prints_the_reason_of_a_failure(database: Database) -> None:
    render_id = json.loads(done("upload", "chair.glb", "--json"))["renderId"]
    with database.write() as db:
        render_status.advance(db, db.get_one(Render, render_id), "error", message="The model has no mesh")
    assert refused("wait", render_id) == "The model has no mesh"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "nothing"], "not found"),
        (["upload", "chair.glb", "--set", "length=2"], "length is 2"),
        (["upload", "chair.glb", "--set", "length"], "key=value"),
        (["render", "nothing", "--metadata", "order"], "--metadata must have the form key=value, not 'order'"),
        (["render", "nothing", "--metadata", "a b=c"], 'metadata["a b"] must be a key of'),
        (["upload", "chair.glb", "--title", "x" * 5000], "title must have at most"),
        (["list", "--key", "dxgl_sk_wrong"], "API key"),
        (["list", "--url", "http://127.0.0.1:1"], "127.0.0.1:1"),
        (["list", "--url", "http://127.0.0.1:1"], "FARM_API_URL or --url"),
        (["list", "--url", "nowhere"], "nowhere"),
        (["list", "--status", "asleep"], "status"),
        (["download", "nothing", "-o", "x.mp4"], "not found"),
    ],
)
def test_prints_errors_as_one_line(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)


def test_names_the_ways_to_give_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FARM_API_KEY")
    assert refused("list") == "An API key of the farm is missing: set FARM_API_KEY or pass --key"


def test_lists_settings_as_they_are_set() -> None:
    done("upload", "chair.glb", "--set", "reflector=true", "--set", "length=4", "--set", "zoom=1.5")
    assert "quality=share length=4 reflector=true zoom=1.5" in done("list").splitlines()[0]


class TestJson:
    """What programs read is what the API sends."""

    @pytest.fixture
    def api(self, url: str, client: Client) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=f"{url}/v1/", headers=client.headers) as api:
            yield api

    def test_has_the_fields_of_the_api(self, api: httpx.Client, finished: Finish) -> None:
        uploaded = json.loads(done("upload", "chair.glb", "--json"))
        assert uploaded == {"modelId": uploaded["modelId"], "renderId": uploaded["renderId"], "duplicate": False}
        queued = json.loads(done("render", uploaded["modelId"], "--set", "length=4", "--json"))
        finished(queued["id"])
        render = api.get(f"renders/{queued['id']}").json()["data"]
        assert queued == {name: render[name] for name in queued} | {"status": "pending"}
        assert json.loads(done("status", queued["id"], "--json")) == render
        assert json.loads(done("list", "--json")) == api.get("renders").json()["data"]

    def test_keeps_brackets_in_values(self, api: httpx.Client) -> None:
        model_id = json.loads(done("upload", "chair.glb", "--json"))["modelId"]
        metadata = {"order": "[bold]4711[/bold] [red]"}
        render_id = api.post("renders", json={"modelId": model_id, "metadata": metadata}).json()["data"]["id"]
        assert json.loads(done("status", render_id, "--json"))["metadata"] == metadata


class TestList:
    def test_tells_variants_of_a_model_apart(self) -> None:
        model_id = json.loads(done("upload", "chair.glb", "--json"))["modelId"]
        variants = [
            ("aspect=1:1",),
            ("aspect=9:16",),
            ("bgColor=#202020",),
            ("bgColor=#202020", "aspect=1:1"),
            ("quality=standard",),
            ("effect=hero-spin",),
            ("effect=hero-spin", "sweepAngle=360"),
            ("output=dataset", "datasetQuality=196x1024"),
        ]
        for variant in variants:
            done("render", model_id, *(word for pair in variant for word in ("--set", pair)))
        lines = done("list").splitlines()[: len(variants)]
        shown = [line.split(f"model {model_id}  ")[1] for line in reversed(lines)]
        assert len(set(shown)) == len(variants)
        for variant, line in zip(variants, shown, strict=True):
            assert all(pair in line for pair in variant), line


class TestWait:
    def test_shows_the_time_that_is_left(
        self, finished: Finish, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """60 frames in 10 s by the clock, since the video is in progress: the other 100 take 17 s."""
        render_id = json.loads(done("upload", "chair.glb", "--json"))["renderId"]
        steps = iter([("poster-processing", 0), ("poster-done", 1), ("video-processing", 20), (None, 80)])
        times = iter([100.0, 106.0, 112.0, 118.0, 128.0, 134.0])

        def work(*_: object) -> float:
            """What a worker does between two polls."""
            step = next(steps, None)
            if step is None:
                finished(render_id)
                return 0.0
            status, frames = step
            with database.write() as db:
                render = db.get_one(Render, render_id)
                if status:
                    render_status.advance(db, render, status)
                next(chunk for chunk in render.shot.chunks if chunk.kind == "draw").frames_done = frames
            return 0.0

        monkeypatch.setattr("plinth_client.polling.Polling.delay", work)
        monkeypatch.setattr("farm.commands.remote.time", SimpleNamespace(monotonic=lambda: next(times)))
        assert done("wait", render_id).splitlines() == [
            "pending, 0/180 frames",
            "poster-processing, 0/180 frames",
            "poster-done, 1/180 frames",
            "video-processing, 20/180 frames",
            "video-processing, 80/180 frames, about 17 s left",
            "done, 180/180 frames",
        ]

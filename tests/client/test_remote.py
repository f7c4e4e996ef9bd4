"""`farm remote`: the typed client from a shell, against the real API."""

import json
from pathlib import Path

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
        (["list", "--key", "dxgl_sk_wrong"], "API key"),
        (["list", "--url", "http://127.0.0.1:1"], "127.0.0.1:1"),
        (["list", "--url", "nowhere"], "nowhere"),
        (["list", "--status", "asleep"], "status"),
        (["download", "nothing", "-o", "x.mp4"], "not found"),
    ],
)
def test_prints_errors_as_one_line(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)

"""The `farm` command: its output, its files, and errors without a traceback."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select
from typer.testing import CliRunner, Result

from camera_paths import PATHS
from farm import path_sheet
from farm.accounts.accounts import PREFIX
from farm.cli import app
from farm.commands import shared
from farm.db.session import Database
from farm.db.tables import Key
from farm.processes import exit_codes, sandbox
from tests.intake.gltf_bytes import BINARY, glb, triangle
from tests.support.assets import ASSETS
from tests.support.processes import free_port

PRODUCT = ASSETS / "product.glb"
SCAN = ASSETS / "scan.zip"
NO_MESH = ASSETS / "no_mesh.glb"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new farm with low resolution and quality, and the test's folder as working directory."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "data").mkdir()
    shutil.copyfile(sqlite_template, tmp_path / "data" / "plinth.db")
    values = {"SCRATCH": "scratch", "DATA": "data", "SCALE": "0.1", "FPS": "2", "SAMPLES": "1", "ENGINE": "cycles"}
    for name, value in values.items():
        monkeypatch.setenv(f"FARM_{name}", str(tmp_path / value) if name in {"SCRATCH", "DATA"} else value)
    monkeypatch.delenv("FARM_FFMPEG", raising=False)
    monkeypatch.delenv("FARM_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_blender(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise AssertionError("Blender must not start")

    monkeypatch.setattr("farm.rendering.local.BlenderHost.start", start)


def farm(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: str | Path) -> str:
    """The output of a successful command."""
    result = farm(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str | Path) -> str:
    """The line that a command prints on stderr when it fails as expected."""
    result = farm(*arguments)
    assert result.exit_code == 1, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit), "otherwise a traceback"
    [line] = result.stderr.strip().split("\n")
    assert "Traceback" not in result.output
    return line


def rows_of(*arguments: str | Path) -> list[list[str]]:
    """The cells of the table that a successful command prints, without the empty ones."""
    lines = [line.strip() for line in done(*arguments).splitlines()]
    return [re.split(r" {2,}", line) for line in lines if line][2:]


class TestSandboxRequired:
    @pytest.fixture(autouse=True)
    def weak_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sandbox, "strongest", sandbox.Limits)
        monkeypatch.setenv("FARM_SANDBOX_REQUIRED", "isolation")

    def test_refuses_a_worker(self) -> None:
        result = farm("worker")
        assert result.exit_code == exit_codes.REFUSED
        assert "FARM_SANDBOX_REQUIRED is isolation" in result.stderr
        assert "Traceback" not in result.output

    def test_refuses_to_render(self, tmp_path: Path) -> None:
        model, out = ASSETS / "product.glb", tmp_path / "video.mp4"
        assert "FARM_SANDBOX_REQUIRED is isolation" in refused("render", model, "--out", out)
        assert "FARM_SANDBOX_REQUIRED is isolation" in refused("templates", "check", "studio")
        assert not out.exists()


class TestAccounts:
    def test_are_listed_after_creation(self) -> None:
        assert "ada@example.com" in done("accounts", "create", "ada@example.com")
        done("accounts", "create", "root@example.com", "--admin")
        ada, root = rows_of("accounts", "list")
        assert ada[1:] == ["ada@example.com", "10"]
        assert root[1:] == ["root@example.com", "10", "admin"]

    def test_are_equal_as_json(self) -> None:
        created = json.loads(done("accounts", "create", "ada@example.com", "--json"))
        assert json.loads(done("accounts", "list", "--json")) == [created]
        assert created["email"] == "ada@example.com"
        assert (created["admin"], created["credits"], created["suspended"]) == (False, 10, False)

    def test_start_with_the_given_credits(self) -> None:
        assert json.loads(done("accounts", "create", "ada@example.com", "--credits", "47", "--json"))["credits"] == 47
        assert "50 credits" in done("accounts", "grant", "ada@example.com", "3")
        assert json.loads(done("accounts", "list", "--json"))[0]["credits"] == 50

    @pytest.mark.parametrize("number", ["0", "-1", "many", "1e3", "99999999999999999999"])
    def test_refuse_an_invalid_number_of_credits(self, number: str) -> None:
        done("accounts", "create", "ada@example.com")
        assert farm("accounts", "grant", "ada@example.com", "--", number).exit_code == 2
        assert json.loads(done("accounts", "list", "--json"))[0]["credits"] == 10

    def test_can_be_suspended_and_resumed(self) -> None:
        done("accounts", "create", "ada@example.com")
        done("accounts", "suspend", "ada@example.com")
        assert "suspended" in done("accounts", "list")
        done("accounts", "resume", "ada@example.com")
        assert "suspended" not in done("accounts", "list")

    @pytest.mark.parametrize("command", [("suspend",), ("resume",), ("grant", "5")])
    def test_report_an_unknown_account(self, command: tuple[str, ...]) -> None:
        name, *rest = command
        assert "no account" in refused("accounts", name, "eve@example.com", *rest)

    def test_are_listed_completely_on_a_narrow_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared, "PLAIN_WIDTH", 40)
        done("accounts", "create", "a.rather.long.address@studio.example.com")
        titles, _, *lines = done("accounts", "list").strip("\n").splitlines()[1:]
        assert max(map(len, lines)) <= 40
        column = slice(titles.index("EMAIL"), titles.index("CREDITS"))
        assert "".join(line[column].strip() for line in lines) == "a.rather.long.address@studio.example.com"

    def test_are_empty_in_a_new_farm(self) -> None:
        assert "farm accounts create" in done("accounts", "list")
        assert json.loads(done("accounts", "list", "--json")) == []

    def test_cannot_be_created_twice(self) -> None:
        done("accounts", "create", "ada@example.com")
        assert "already" in refused("accounts", "create", "ada@example.com")
        assert len(rows_of("accounts", "list")) == 1


class TestKeys:
    def test_are_printed_alone_on_stdout(self) -> None:
        done("accounts", "create", "ada@example.com")
        first, second = (farm("keys", "create", "ada@example.com") for _ in range(2))
        assert first.stdout.startswith(PREFIX)
        assert first.stdout == first.stdout.strip() + "\n"
        assert first.stderr == ""
        assert first.stdout != second.stdout

    def test_explain_how_to_create_an_unknown_account(self) -> None:
        assert "farm accounts create eve@example.com" in refused("keys", "create", "eve@example.com")

    def test_are_listed_with_scopes_and_expiry(self, tmp_path: Path) -> None:
        done("accounts", "create", "ada@example.com")
        keys = [
            done("keys", "create", "ada@example.com"),
            done("keys", "create", "ada@example.com", "--scopes", "renders:read, account:read", "--expires", "30d"),
            done("keys", "create", "ada@example.com", "--expires", "2130-01-31"),
        ]
        with contextlib.closing(Database(f"sqlite:///{tmp_path}/data/plinth.db")) as database, database.write() as db:
            db.scalars(select(Key).order_by(Key.created_at)).all()[-1].expires_at = datetime(2020, 1, 31, tzinfo=UTC)
        rows = json.loads(done("keys", "list", "ada@example.com", "--json"))
        assert [row["state"] for row in rows] == ["active", "active", "expired"]
        assert [row["scopes"] for row in rows] == [["all"], ["renders:read", "account:read"], ["all"]]
        assert [row["expires"] and row["expires"][:4] for row in rows][::2] == [None, "2020"]
        assert rows[2]["expires"] == "2020-01-31T00:00:00+00:00"
        assert all(row["created"] and row["used"] is None for row in rows)
        plain = rows_of("keys", "list", "ada@example.com")
        assert [row[0] for row in plain] == [row["id"] for row in rows]
        assert not any(key.strip()[-10:] in str(plain) for key in keys)

    @pytest.mark.parametrize(
        "until", ["1s", "12h", "30d", "8w", "2030-01-31", "2030-01-31T12:00", "2030-01-31T12:00:00+02:00"]
    )
    def test_may_expire(self, until: str) -> None:
        done("accounts", "create", "ada@example.com")
        done("keys", "create", "ada@example.com", "--expires", until)
        assert json.loads(done("keys", "list", "ada@example.com", "--json"))[0]["state"] == "active"

    @pytest.mark.parametrize(
        "until", ["", "soon", "5", "d", "-1d", "1.5h", "99999999999999d", "2030-13-01", "0001-01-01T00:00+23:00"]
    )
    def test_refuse_an_invalid_expiry(self, until: str) -> None:
        done("accounts", "create", "ada@example.com")
        assert "30d" in refused("keys", "create", "ada@example.com", "--expires", until)
        assert json.loads(done("keys", "list", "ada@example.com", "--json")) == []

    @pytest.mark.parametrize("until", ["0d", "2020-01-01", "2020-01-01T00:00:00+02:00"])
    def test_refuse_an_expiry_that_has_passed(self, until: str) -> None:
        done("accounts", "create", "ada@example.com")
        assert "must expire in the future" in refused("keys", "create", "ada@example.com", "--expires", until)
        assert json.loads(done("keys", "list", "ada@example.com", "--json")) == []

    def test_refuse_an_unknown_scope_and_list_the_known(self) -> None:
        done("accounts", "create", "ada@example.com")
        said = refused("keys", "create", "ada@example.com", "--scopes", "renders:read,renders:fly")
        assert "renders:fly" in said
        assert "account:read" in said

    def test_can_be_revoked_by_id(self) -> None:
        done("accounts", "create", "ada@example.com")
        done("keys", "create", "ada@example.com")
        done("keys", "revoke", rows_of("keys", "list", "ada@example.com")[0][0])
        assert "revoked" in done("keys", "list", "ada@example.com")

    def test_can_be_revoked_only_once(self) -> None:
        done("accounts", "create", "ada@example.com")
        key = done("keys", "create", "ada@example.com").strip()
        assert "Revoked" in done("keys", "revoke", key)
        assert "not a key" in refused("keys", "revoke", key)

    def test_are_not_echoed_if_unknown(self) -> None:
        assert "dxgl_sk_wrong" not in refused("keys", "revoke", "dxgl_sk_wrong")


class TestDatabase:
    def test_prints_its_version_on_each_upgrade(self) -> None:
        first = done("db", "upgrade")
        assert first.startswith("Database at version ")
        assert "None" not in first
        assert done("db", "upgrade") == first

    def test_is_created_in_the_given_folder(self, tmp_path: Path) -> None:
        shutil.rmtree(tmp_path / "data")
        done("db", "upgrade", "--data", tmp_path / "elsewhere")
        assert (tmp_path / "elsewhere" / "plinth.db").is_file()
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize("command", [("accounts", "list"), ("db", "upgrade"), ("queue",)])
    def test_names_the_next_step_when_it_does_not_respond(
        self, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FARM_DATABASE_URL", f"postgresql://plinth:hush@127.0.0.1:{free_port()}/plinth")
        line = refused(*command)
        assert "Connection refused" in line
        assert line.endswith("`farm doctor` says how to correct it")
        assert "hush" not in line

    def test_reports_an_impossible_path_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for command in (["accounts", "list"], ["db", "upgrade"]):
            assert f"{tmp_path}/file" in refused(*command, "--data", tmp_path / "file" / "data")


@pytest.mark.slow
class TestRender:
    def test_writes_video_and_poster_and_shows_progress(self, tmp_path: Path) -> None:
        out = tmp_path / "new" / "radio.mp4"
        result = farm("render", PRODUCT, "--set", "length=3", "--set", "bgColor=#12ab9f", "-o", out)
        assert result.exit_code == 0, result.output
        with av.open(str(out)) as container:
            assert len(list(container.decode(video=0))) == 3 * 2
        with Image.open(out.with_suffix(".png")) as poster:
            assert poster.size == (96, 54)
            assert poster.convert("RGB").getpixel((0, 0)) == (0x12, 0xAB, 0x9F)
        lines = result.stdout.splitlines()
        assert lines[-2].startswith("6/6 frames, ")
        assert lines[-1] == f"{out} and {out.with_suffix('.png')}"
        assert "\x1b" not in result.output, "plain lines without a terminal"
        assert sorted(path.name for path in out.parent.iterdir()) == ["radio.mp4", "radio.png"]
        assert not list((tmp_path / "scratch").iterdir())

    def test_shows_a_picture_from_disk_behind_the_model(self, tmp_path: Path) -> None:
        halves = Image.new("RGB", (16, 30), (255, 0, 0))
        halves.paste((0, 0, 255), (0, 15, 16, 30))
        halves.save(tmp_path / "halves.png")
        out = tmp_path / "radio.mp4"
        done("render", PRODUCT, "--background", "halves.png", "--set", "length=3", "-o", out)
        with Image.open(out.with_suffix(".png")) as poster:
            assert poster.convert("RGB").getpixel((0, 0)) == (255, 0, 0), "the top, as bgAlign is top-left"
        done(
            "render",
            PRODUCT,
            "--background",
            "halves.png",
            "--set",
            "bgAlign=bottom-left",
            "--set",
            "length=3",
            "-o",
            out,
        )
        with Image.open(out.with_suffix(".png")) as poster:
            assert poster.convert("RGB").getpixel((0, 0)) == (0, 0, 255)

    def test_refuses_a_background_that_is_no_picture(self, tmp_path: Path) -> None:
        said = refused("render", PRODUCT, "--background", PRODUCT, "--set", "length=3", "-o", tmp_path / "radio.mp4")
        assert "The background picture cannot be read" in said
        assert not list(tmp_path.glob("radio*"))

    def test_renders_a_scan_with_no_temporary_files_outside_scratch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        result = farm("render", SCAN, "--set", "length=3", "-o", tmp_path / "stone.mp4")
        assert result.exit_code == 0, result.output
        poster = np.asarray(Image.open(tmp_path / "stone.png"))
        assert poster.min() < 200, "the stone is in the picture"
        assert not list((tmp_path / "scratch").iterdir())

    def test_reports_a_model_without_a_mesh(self, tmp_path: Path) -> None:
        assert "no mesh" in refused("render", NO_MESH, "-o", "x.mp4")
        self._assert_nothing_left(tmp_path)

    def test_reports_a_model_without_size(self, tmp_path: Path) -> None:
        (tmp_path / "point.glb").write_bytes(glb(triangle(), bytes(36) + BINARY[36:]))
        assert "no size" in refused("render", "point.glb", "-o", "x.mp4")
        self._assert_nothing_left(tmp_path)

    def test_names_a_missing_ffmpeg(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_FFMPEG", "no-such-ffmpeg")
        assert "no-such-ffmpeg" in refused("render", PRODUCT, "-o", "x.mp4")
        self._assert_nothing_left(tmp_path)

    @staticmethod
    def _assert_nothing_left(folder: Path) -> None:
        assert not list((folder / "scratch").iterdir())
        assert not (folder / "x.mp4").exists()
        assert not (folder / "x.png").exists()


@pytest.mark.slow
class TestDataset:
    def test_writes_a_zip_of_a_scan_and_shows_progress(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # all temporary files are in scratch or beside `out`
        out = tmp_path / "new" / "stone.zip"
        options = ("--coverage", "sphere", "--format", "colmap", "--format", "rgba", "--set", "scene=dark")
        result = farm("dataset", SCAN, *options, "-o", out)
        assert result.exit_code == 0, result.output
        with zipfile.ZipFile(out) as files:
            metadata = json.loads(files.read("metadata/dataset.json"))
            assert len(json.loads(files.read("transforms.json"))["frames"]) == 100
            assert {"sparse/0/images.txt", "images_rgba/0099.png"} < set(files.namelist())
        assert (metadata["template"], metadata["coverage"], metadata["samples"]) == ("dark", "sphere", 1)
        assert metadata["model_sha256"] == hashlib.sha256(SCAN.read_bytes()).hexdigest()
        lines = result.stdout.splitlines()
        assert lines[-2].startswith("100/100 views, ")
        assert lines[-1] == str(out)
        assert [path.name for path in out.parent.iterdir()] == ["stone.zip"]
        assert not list((tmp_path / "scratch").iterdir())

    def test_leaves_nothing_behind_without_a_mesh(self, tmp_path: Path) -> None:
        assert "no mesh" in refused("dataset", NO_MESH, "-o", tmp_path / "new" / "x.zip")
        assert not list((tmp_path / "new").iterdir())

    @pytest.mark.usefixtures("no_blender")
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--quality", "1x1", "-o", "x.zip"], 'datasetQuality is "1x1", but must be one of "100x800"'),
            (["--coverage", "dome", "-o", "x.zip"], 'coverage is "dome", but must be one of "hemisphere"'),
            (["--format", "colmap", "--format", "obj", "-o", "x.zip"], 'formats has "obj", but must be'),
            (["--set", "sweepAngle=90", "-o", "x.zip"], 'sweepAngle does not belong to effect "dataset"'),
            (["--set", "output=video", "-o", "x.zip"], 'output is "video", but must be "dataset" or left out'),
            (["--set", "views=19", "-o", "x.zip"], "views is 19, but must be an integer from 20 to 1000"),
            (["-o", "x.tar"], "name a file that ends in .zip"),
        ],
    )
    def test_is_refused_immediately_with_wrong_options(self, arguments: list[str], words: str) -> None:
        assert words in refused("dataset", PRODUCT, *arguments)

    @pytest.mark.usefixtures("no_blender")
    def test_is_not_created_by_render(self) -> None:
        assert "farm dataset" in refused("render", PRODUCT, "--set", "output=dataset", "-o", "x.mp4")


@pytest.mark.slow
class TestCameraPathPreview:
    def test_is_a_sheet_with_stills_from_blender(self) -> None:
        done("camera-paths", "preview", "hero-spin", "--set", "bgColor=#12ab9f", "-o", "new/sheet.png")
        with Image.open("new/sheet.png") as sheet:
            picture = sheet.convert("RGB")
        assert picture.size == (path_sheet.WIDTH, path_sheet.HEIGHT)
        for number in range(path_sheet.STILLS):
            left = path_sheet.MARGIN + number * (path_sheet.STILL_SIZE + path_sheet.GAP)
            corner = picture.getpixel((left + 3, path_sheet.STRIP_TOP + 3))
            assert corner == pytest.approx((0x12, 0xAB, 0x9F), abs=6), "accuracy of 256 colours"
            seen = picture.crop((left, path_sheet.STRIP_TOP, left + path_sheet.STILL_SIZE, path_sheet.STRIP_TOP + 150))
            assert len(seen.getcolors(150 * 150) or []) > 20, "shows the model"


class TestCameraPaths:
    def test_are_listed_with_their_descriptions(self) -> None:
        lines = done("camera-paths", "list").splitlines()
        assert [line.split("  ")[0] for line in lines] == list(PATHS)
        assert all(path.description in line for path, line in zip(PATHS.values(), lines, strict=True))

    def test_are_equal_as_json(self) -> None:
        assert [path["name"] for path in json.loads(done("camera-paths", "list", "--json"))] == list(PATHS)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["swirl", "-o", "x.png"], '"turntable"'),
            (["turntable", "--set", "sweepAngle=90", "-o", "x.png"], "sweepAngle"),
            (["turntable", "--set", "rotateY", "-o", "x.png"], "key=value"),
            (["turntable", "-o", "x.mp4"], ".png"),
            (["turntable", "-o", "file/x.png"], "file"),
        ],
    )
    @pytest.mark.usefixtures("no_blender")
    def test_are_refused_before_blender_starts(self, arguments: list[str], said: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert said in refused("camera-paths", "preview", *arguments)


@pytest.mark.usefixtures("no_blender")
class TestRefusedRender:
    """Errors that can be detected before Blender starts are reported before it starts."""

    @pytest.mark.parametrize(
        ("setting", "said"),
        [
            ("length=2", "length"),
            ("length=long", "length"),
            ("no_such=1", "no_such"),
            ("bgColor=red", "bgColor"),
            ("bgImageId=Ab3kF9x2qL1m", "bgImageId"),
            ("length", "key=value"),
        ],
    )
    def test_names_a_wrong_setting(self, setting: str, said: str, tmp_path: Path) -> None:
        assert said in refused("render", PRODUCT, "--set", setting, "-o", "x.mp4")
        assert not list((tmp_path / "scratch").iterdir())

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("model.stl", b"solid", "model.stl"),
            ("model.glb", b"", "empty"),
            ("model.glb", b"no glTF at all", "GLB"),
            ("model.gltf", b"{", "JSON"),
        ],
    )
    def test_explains_a_wrong_file(self, name: str, content: bytes, said: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        assert said in refused("render", name, "-o", "x.mp4")
        assert not list((tmp_path / "scratch").iterdir())

    def test_shows_the_usage_for_a_missing_file(self) -> None:
        result = farm("render", "nowhere.glb", "-o", "x.mp4")
        assert result.exit_code == 2
        assert "Traceback" not in result.output

    @pytest.mark.parametrize("out", ["file/x.mp4", "/proc/x.mp4", ".", "x.png"])
    def test_names_an_output_path_that_is_not_writable(self, out: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert out in refused("render", PRODUCT, "-o", out)

    @pytest.mark.parametrize(("quality", "out", "right"), [("pro", "x.mp4", ".mov"), ("share", "x.mov", ".mp4")])
    def test_names_the_right_suffix_for_the_tier(self, quality: str, out: str, right: str) -> None:
        assert f"ends in {right}" in refused("render", PRODUCT, "--set", f"quality={quality}", "-o", out)

    def test_names_a_missing_scratch_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_SCRATCH", "/nowhere")
        assert "/nowhere" in refused("render", PRODUCT, "-o", "x.mp4")

    def test_names_a_wrong_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_SCALE", "big")
        assert "FARM_SCALE" in refused("render", PRODUCT, "-o", "x.mp4")

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("FARM_CORS_ORIGINS", "shop.example", "must be a JSON list"),
            ("FARM_CORS_ORIGINS", '["https://shop.example/"]', "must be an origin such as https://shop.example"),
            ("FARM_INGEST_PORTS", "80,443", "must be a JSON list"),
            ("FARM_INGEST_PORTS", "80", "must be a list"),
            ("FARM_INGEST_PORTS", '["x"]', "must be a whole number"),
            ("FARM_INGEST_LOOPBACK", "perhaps", "must be true or false"),
            ("FARM_ENGINE", "x", "must be 'auto', 'eevee', 'cycles', 'cycles-optix', 'cycles-cuda' or 'cycles-hip'"),
            ("FARM_PORT", "70000", "must be at most 65535"),
            ("FARM_ATTEMPTS", "1.5", "must be a whole number"),
            ("FARM_S3_TIMEOUT", "0", "must be more than 0"),
            ("FARM_S3_TIMEOUT", "soon", "must be a number"),
            ("FARM_S3_ENDPOINT", "s3.example.com", "must be a URL such as https://s3.example.com"),
            ("FARM_TEMPLATES", "/none", "must be a folder that exists"),
            ("FARM_DATABASE_URL", "nonsense", "no URL of a SQLite or PostgreSQL database"),
            ("FARM_DATABASE_URL", "mysql://localhost/plinth", "no URL of a SQLite or PostgreSQL database"),
        ],
    )
    def test_names_a_wrong_value_of_a_variable(self, name: str, value: str, words: str) -> None:
        shell = {**os.environ, name: value}  # the settings are read while the commands are imported, too
        command = [sys.executable, "-m", "farm.cli", "accounts", "list"]
        ended = subprocess.run(command, env=shell, capture_output=True, text=True)
        [line] = ended.stderr.splitlines()
        assert (ended.returncode, line.startswith(f"{name} is "), words in line) == (1, True, True)
        assert not any(word in line for word in ("Input", "should", "Value error"))

    def test_names_a_wrong_address_of_redis(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_REDIS_URL", "nonsense")
        assert "such as redis://127.0.0.1:6379/0" in refused("renders", "retry", "abcdefghijkl")

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("remote download x -o y --what z", "--what: 'z' is not one of 'video', 'web', 'poster'"),
            ("worker --hosts x", "--hosts: must be a whole number, not 'x'"),
            ("worker --hosts 65", "--hosts: must be at most 64, not '65'"),
            ("accounts grant ada@example.com x", "CREDITS: must be a whole number, not 'x'"),
            ("remote wait x --timeout soon", "--timeout: must be a number, not 'soon'"),
        ],
    )
    def test_names_a_wrong_option_in_one_line(self, command: str, words: str) -> None:
        result = farm(*command.split())
        [line] = result.stderr.splitlines()
        assert (result.exit_code, line[: len(words)]) == (2, words)

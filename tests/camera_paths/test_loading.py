"""Camera paths load one by one: a broken one is named with line and reason, and takes nothing else down."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from camera_paths import BROKEN, PATHS, loading
from camera_paths.loading import load_folder
from farm.commands import doctor
from farm.rendering.drawing_code import source_digest
from farm.settings import Settings
from tests.support.api import assert_error

GOOD = '''"""Nod: stays in front and comes a little closer."""

from camera_paths.path import Pose, register


@register("nod", loops=False)
def nod(t: float, *, easing: bool = True, rotate_y: float = 0.0, zoom: float = 1.0) -> Pose:
    return Pose(azimuth=rotate_y, radius=zoom * (1.2 - 0.2 * t))
'''
POSE = "return Pose(azimuth=rotate_y, radius=zoom * (1.2 - 0.2 * t))"
BAD = {
    "syntax": (GOOD.replace("-> Pose:", "-> Pose"), 7, "expected ':'"),
    "import": (GOOD.replace("register\n\n", "register\n\nimport numpy_of_tomorrow\n", 1), 5, "ModuleNotFoundError"),
    "exit": (GOOD + "raise SystemExit(3)\n", 9, "SystemExit: 3"),
    "parameter": (GOOD.replace("zoom: float = 1.0", "z: float = 1.0"), 6, "must have the parameters zoom"),
    "name": (GOOD.replace('"nod"', '"dataset"'), 6, '"dataset" cannot be a camera path'),
    "empty": ("", 0, "it registers no camera path"),
    "docstring": (GOOD.partition("\n\n")[2], 4, "must be a docstring"),
    "infinite": (GOOD.replace(POSE, 'return Pose(rotate_y + (float("nan") if t > 0.5 else 0))'), 6, "azimuth is nan"),
    "raising": (GOOD.replace(POSE, "return Pose(rotate_y + 1 / (t - 1))"), 6, "fails at time 1: ZeroDivisionError"),
    "radius": (GOOD.replace(POSE, "return Pose(rotate_y, 1 - 2 * t)"), 6, "its radius is 0"),
    "scale": (GOOD.replace(POSE, "return Pose(rotate_y, zoom, 2 - t)"), 6, "scale is 2, but must be from 0 to 1"),
    "jump": (GOOD.replace(POSE, "return Pose(rotate_y + 90 * (t < 0.5))"), 6, "azimuth jumps from 90 to 0 at time 0.5"),
    "loop": (GOOD.replace("loops=False", "loops=True"), 6, "says that it loops"),
    "end": (GOOD.replace(POSE, "return Pose(rotate_y + 90 * t)"), 6, "must end at azimuth 0"),
}


@pytest.fixture(autouse=True)
def _same_paths_afterwards() -> Iterator[None]:
    known, broken = dict(PATHS), dict(BROKEN)
    yield
    for registry, content in ((PATHS, known), (BROKEN, broken)):
        registry.clear()
        registry.update(content)  # type: ignore[arg-type]


def run(*arguments: str, paths: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"FARM_CAMERA_PATHS": str(paths)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60)


class TestBrokenFile:
    @pytest.mark.parametrize("kind", BAD)
    def test_is_named_with_line_and_reason_and_harms_no_other(self, tmp_path: Path, kind: str) -> None:
        source, line, reason = BAD[kind]
        (tmp_path / "a_swirl.py").write_text(source)
        (tmp_path / "nod.py").write_text(GOOD)
        built_in = set(PATHS)
        load_folder(tmp_path)
        assert set(PATHS) == built_in | {"nod"}
        (found,) = BROKEN.values()
        assert (found.line, found.file.name) == (line, "a_swirl.py")
        assert reason in found.reason
        assert "nod.py" not in str(found)

    @pytest.mark.parametrize(
        ("source", "line"),
        [(GOOD + "while True:\n    pass\n", 10), (GOOD.replace("return Pose", "while True: Pose"), 8)],
    )
    def test_ends_after_a_time_limit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, line: int
    ) -> None:
        monkeypatch.setattr(loading, "MAX_LOADING_SECONDS", 0.2)
        (tmp_path / "nod.py").write_text(source)
        load_folder(tmp_path)
        assert abs(BROKEN["nod"].line - line) <= 1
        assert "takes longer than 0.2 seconds to load" in BROKEN["nod"].reason
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)

    def test_is_named_by_the_effect_that_it_registers(self, tmp_path: Path) -> None:
        (tmp_path / "swirl.py").write_text(BAD["jump"][0])
        load_folder(tmp_path)
        assert set(BROKEN) == {"nod"}

    def test_does_not_replace_a_built_in_path(self, tmp_path: Path) -> None:
        (tmp_path / "turntable.py").write_text("no")
        turntable = PATHS["turntable"]
        load_folder(tmp_path)
        assert PATHS["turntable"] is turntable
        assert "NameError" in BROKEN["turntable"].reason

    def test_is_reported_by_doctor(self, tmp_path: Path) -> None:
        (tmp_path / "swirl.py").write_text("\nno")
        load_folder(tmp_path)
        check = doctor.camera_paths(Settings())
        assert (check.ok, check.found) == (False, "swirl.py, line 2: NameError: name 'no' is not defined")
        assert check.fix

    def test_is_refused_by_the_api(self, api: TestClient, tmp_path: Path) -> None:
        (tmp_path / "swirl.py").write_text("no")
        load_folder(tmp_path)
        body = {"modelId": "x" * 12, "renderSettings": {"effect": "swirl"}}
        response = api.post("/v1/renders", json=body)
        said = 'renderSettings.effect is "swirl", a camera path that this farm cannot use'
        assert_error(response, "invalid_settings", 400, said)
        assert "swirl.py" not in response.text


class TestOwnFolder:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Path:
        (tmp_path / "nod.py").write_text(GOOD)
        (tmp_path / "swirl.py").write_text("\nno")
        return tmp_path

    def test_adds_effects_that_can_be_ordered_by_name(self, own: Path) -> None:
        code = "from farm.orders.render_settings import parse; print(parse({'effect': 'nod'}).effect)"
        assert run("-c", code, paths=own).stdout == "nod\n"
        assert sorted(file.name for file in own.iterdir()) == ["nod.py", "swirl.py"], "nothing is written into it"

    def test_is_listed_and_refused_by_the_commands(self, own: Path) -> None:
        listed = run("-m", "farm.cli", "camera-paths", "list", paths=own)
        assert "stays in front and comes a little closer." in listed.stdout
        assert "broken: swirl.py, line 2: NameError" in listed.stdout
        assert listed.returncode == 1
        model = str(Path(__file__).parents[1] / "assets" / "product.glb")
        order = ("render", model, "--set", "effect=swirl", "-o", str(own / "x.mp4"))
        refused = run("-m", "farm.cli", *order, paths=own)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert "`farm camera-paths list` shows" in refused.stderr

    def test_takes_precedence_over_the_built_in_folder(self, tmp_path: Path) -> None:
        (tmp_path / "reveal.py").write_text(GOOD.replace('"nod"', '"reveal"'))
        load_folder(tmp_path)
        assert PATHS["reveal"].title == "Nod"

    def test_identifies_the_drawing_code(self, own: Path) -> None:
        root = Path(__file__).parents[2]
        before = source_digest(root, own)
        assert before != source_digest(root)
        (own / "nod.py").write_text(GOOD + "# changed\n")
        assert source_digest(root, own) != before

    def test_is_reported_in_one_line_if_missing(self, tmp_path: Path) -> None:
        result = run("-m", "farm.cli", "doctor", paths=tmp_path / "none")
        assert "FARM_CAMERA_PATHS is" in result.stderr
        assert "Traceback" not in result.stderr


class TestCheck:
    def test_names_every_problem_and_accepts_good_paths(self, tmp_path: Path) -> None:
        (tmp_path / "nod.py").write_text(GOOD)
        (tmp_path / "swirl.py").write_text("\nno")
        result = run("-m", "farm.cli", "camera-paths", "check", paths=tmp_path)
        assert (result.returncode, result.stdout) == (
            1,
            "bad swirl: swirl.py, line 2: NameError: name 'no' is not defined\n",
        )
        assert run("-m", "farm.cli", "camera-paths", "check", "nod", paths=tmp_path).stdout == "nod: no problems\n"

    def test_finds_what_is_wrong_at_the_ends_of_the_ranges_alone(self, tmp_path: Path) -> None:
        source = GOOD.replace("easing: bool", "amplitude: float = 60.0, colour: float = 1.0, easing: bool")
        (tmp_path / "nod.py").write_text(source.replace(POSE, "return Pose(rotate_y, zoom * (100 - amplitude))"))
        result = run("-m", "farm.cli", "camera-paths", "check", "nod", paths=tmp_path)
        assert result.returncode == 1
        assert "its radius is -40, but must be above 0 at time 0 (with easing 1, amplitude 180" in result.stdout
        assert "its parameter colour is no render setting" in result.stdout

    def test_refuses_an_unknown_name(self, tmp_path: Path) -> None:
        result = run("-m", "farm.cli", "camera-paths", "check", "swirl", paths=tmp_path)
        assert '"turntable"' in result.stderr

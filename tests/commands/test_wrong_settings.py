"""A wrong variable or option is named in one line, with the right values."""

import os
import subprocess
import sys

import pytest

from tests.support.assets import ASSETS
from tests.support.commands import farm, refused

pytestmark = pytest.mark.usefixtures("small_farm", "no_blender")

PRODUCT = ASSETS / "product.glb"


class TestVariables:
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


class TestOptions:
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

"""FARM_SANDBOX_REQUIRED: no command renders on a machine with a weaker sandbox."""

from pathlib import Path

import pytest

from farm.processes import exit_codes, sandbox
from tests.support.assets import ASSETS
from tests.support.commands import farm, refused

pytestmark = pytest.mark.usefixtures("small_farm")


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

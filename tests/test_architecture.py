"""The architecture of farm/: its packages import downwards only, and few modules are outside a package."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_LOOSE_MODULES = 8


def test_imports_only_lower_packages() -> None:
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout


def test_keeps_modules_in_packages() -> None:
    loose = [path.name for path in (ROOT / "farm").glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= MAX_LOOSE_MODULES, loose

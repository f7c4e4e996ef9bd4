"""The folder tree is the architecture: rooms import downwards only, and few modules lie loose in farm/."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_LOOSE_MODULES = 8


def test_rooms_import_only_rooms_below_them() -> None:
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout


def test_few_modules_lie_loose_in_farm() -> None:
    loose = [path.name for path in (ROOT / "farm").glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= MAX_LOOSE_MODULES, loose

"""The architecture of farm/: its packages import downwards only, and few modules are outside a package."""

import ast
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


def test_builds_sql_statements_only_in_farm_db() -> None:
    """Only the two modules that alone write the rows which they update import `update`."""
    statements = {"select", "insert", "update", "delete", "text", "*"}
    found = set()
    for path in [*ROOT.glob("farm/**/*.py"), *ROOT.glob("api/**/*.py")]:
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("farm/db/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sqlalchemy":
                found |= {(name, alias.name) for alias in node.names if alias.name in statements}
            elif isinstance(node, ast.Import):
                found |= {(name, alias.name) for alias in node.names if alias.name.partition(".")[0] == "sqlalchemy"}
    assert found == {("farm/scheduling/leases.py", "update"), ("farm/nodes/registry.py", "update")}

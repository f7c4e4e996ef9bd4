"""Writes plinth_client/synchronous/ from plinth_client/asynchronous/: the same code without async and await.

python clients/make_synchronous.py [--check]. With --check it writes nothing, and names the files that are not current.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import unasync

PACKAGE = Path(__file__).parent / "python" / "plinth_client"
SOURCE, TARGET = "asynchronous", "synchronous"
NOTICE = "# Made of plinth_client/asynchronous/ by clients/make_synchronous.py: change those files.\n"
CLASSES = ("Plinth", "Models", "Renders", "Overlays", "Scenes", "Effects", "Transport", "Client")
NAMES = {f"Async{name}": name for name in CLASSES} | {
    SOURCE: TARGET,
    "asyncio": "time",  # .sleep
    "in_thread": "directly",
    "aclose": "close",
    "aread": "read",
    "aiter_bytes": "iter_bytes",
}


RUFF = (sys.executable, "-m", "ruff")


def synchronous_files() -> dict[Path, str]:
    """The files and their texts."""
    with TemporaryDirectory() as folder:
        rule = unasync.Rule(str(PACKAGE / SOURCE), folder, additional_replacements=NAMES)
        sources = [str(path) for path in (PACKAGE / SOURCE).glob("*.py") if path.name != "__init__.py"]
        unasync.unasync_files(sources, [rule])
        return {PACKAGE / TARGET / path.name: _formatted(path) for path in sorted(Path(folder).iterdir())}


def _formatted(made: Path) -> str:
    text = NOTICE + made.read_text()
    # Imports are in another order, and a loop over `async for` can be a `yield from`.
    for command in (("check", "--quiet", "--select", "I,UP028", "--fix", "--unsafe-fixes"), ("format", "--quiet")):
        ruff = (*RUFF, *command, "--stdin-filename", str(PACKAGE / TARGET / made.name), "-")
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    made = synchronous_files()
    if sys.argv[1:] == ["--check"]:
        sys.exit(", ".join(path.name for path, text in made.items() if not path.is_file() or path.read_text() != text))
    for path, text in made.items():
        path.write_text(text)

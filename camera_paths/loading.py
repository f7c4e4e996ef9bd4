"""Loads camera paths file by file: one that is broken is kept out of PATHS, and listed in BROKEN with the reason."""

import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType

from camera_paths.contract import find_problem
from camera_paths.path import PATHS, CameraPath

PARTS = {"__init__", "contract", "loading", "path"}  # files of this folder that are no camera path
MAX_LOADING_SECONDS = 5.0  # a file; the built-in ones take a hundredth of a second


@dataclass(frozen=True)
class BrokenPath:
    """A file without a usable camera path. `name` is the effect's, or the file's if it registers none.

    `line` is 0 if unknown.
    """

    name: str
    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file.name}, line {self.line}: {self.reason}" if self.line else f"{self.file.name}: {self.reason}"


BROKEN: dict[str, BrokenPath] = {}


def load_folder(folder: Path, package: str | None = None) -> None:
    """Load every camera path in the folder. Its paths take precedence over those of folders loaded before.

    `package` is the name of the package that the folder is; None: its files are loaded on their own.
    """
    earlier = dict(PATHS)
    PATHS.clear()
    try:
        files = sorted(folder.glob("*.py"))
    except OSError:
        files = []
    for file in files:
        if package is None or file.stem not in PARTS:
            _load(file, package)
    PATHS.update(earlier | PATHS)


def _load(file: Path, package: str | None) -> None:
    before = dict(PATHS)
    try:
        with _time_limit():
            if package:
                importlib.import_module(f"{package}.{file.stem}")
            else:
                _execute(file)
            problem = _first_problem(_new(before))
    except (Exception, SystemExit) as error:
        problem = _line_of(error, file), _reason(error)
    if problem:
        line, reason = problem
        for name in [path.name for path in _new(before)] or [file.stem.replace("_", "-")]:
            BROKEN[name] = BrokenPath(name, file, line, reason)
        PATHS.clear()
        PATHS.update(before)


def _new(before: dict[str, CameraPath]) -> list[CameraPath]:
    return [path for name, path in PATHS.items() if name not in before]


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise TimeoutError after MAX_LOADING_SECONDS, in the main thread, the only one that receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"it takes longer than {MAX_LOADING_SECONDS:g} seconds to load")

    earlier = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, MAX_LOADING_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


def _execute(file: Path) -> None:
    """Run a file as a module, without writing compiled code beside it."""
    module = ModuleType(f"studio_camera_paths.{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where a path looks up the first line of its file
    exec(compile(file.read_bytes(), str(file), "exec"), vars(module))


def _first_problem(paths: list[CameraPath]) -> tuple[int, str] | None:
    if not paths:
        return 0, "it registers no camera path"
    for path in paths:
        if problem := find_problem(path):
            return path.pose.__code__.co_firstlineno, problem
    return None


def _line_of(error: BaseException, file: Path) -> int:
    """The last line of the file that the error passed through; 0 if there is none."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 0
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    text = str(error).partition("\n")[0]
    if isinstance(error, ValueError | TimeoutError) and text:
        return text
    return f"{type(error).__name__}: {text}".removesuffix(": ")

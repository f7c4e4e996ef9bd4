"""Finds the log events of the code: every call such as `log.warning("heartbeat_failed", node=name)`."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
TRACEBACK = "exc_info"  # an argument of structlog's, not a field


@dataclass
class LogEvent:
    """All calls that log one event: their levels, and the fields that any of them adds."""

    levels: set[str] = field(default_factory=set)
    fields: list[str] = field(default_factory=list)


def log_events(folders: Iterable[Path] = (ROOT / "api", ROOT / "farm")) -> dict[str, LogEvent]:
    """The events by key, sorted. Raises ValueError for a call whose key is not a literal."""
    events: defaultdict[str, LogEvent] = defaultdict(LogEvent)
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for call in _log_calls(ast.parse(path.read_text())):
            if not (call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)):
                raise ValueError(f"{path}:{call.lineno}: the key of a log event must be a string literal")
            event = events[call.args[0].value]
            event.levels.add(LEVELS[_method(call)])
            names = [keyword.arg for keyword in call.keywords if keyword.arg and keyword.arg != TRACEBACK]
            event.fields += [name for name in names if name not in event.fields]
    return {key: events[key] for key in sorted(events, key=str.lower)}


def _log_calls(module: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
            and node.func.attr in LEVELS
        ):
            yield node


def _method(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr

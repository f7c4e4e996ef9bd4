"""Structured logs on stderr: coloured on a terminal, JSON elsewhere.

Fields bound with `bind` are added to every log line of the process, in all its threads and libraries.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_bound: dict[str, object] = {}
_copy: IO[bytes] | None = None

# Not rich's tracebacks: they take seconds and print local variables, which include API keys.
_plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
_coloured = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def configure(level: str) -> None:
    """Set up logging for this process; `level` is debug, info, warning or error.

    Libraries log through the standard logging module; only their warnings and errors are logged.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    stamp: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_bound,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Processor] = (
        [_coloured]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*stamp, _copy_line, _from_level(number), *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(min(number, logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*stamp, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _copy_line, *rendered],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler])


def bind(**ids: object) -> None:
    """Add these fields to every further log line."""
    _bound.update(ids)


@contextmanager
def copied(into: Path, **ids: object) -> Iterator[None]:
    """During the block, add `ids` to every line, and also write lines of level info and above to the file `into`."""
    global _copy
    before = dict(_bound)
    with into.open("wb", buffering=0) as _copy:
        bind(**ids)
        try:
            yield
        finally:
            _copy = None
            _bound.clear()
            _bound.update(before)


def _add_bound(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    return {**_bound, **line}


def _copy_line(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    if copy := _copy:
        with suppress(OSError):
            copy.write(f"{_plain(logger, method, dict(line))}\n".encode(errors="replace"))
    return line


def _from_level(minimum: int) -> Processor:
    """A processor that drops less severe lines."""

    def drop_or_pass(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
        if logging.getLevelNamesMapping()[line["level"].upper()] < minimum:
            raise structlog.DropEvent
        return line

    return drop_or_pass


class _Stderr:
    """stderr without errors: it may be redirected to a full disk, and logging must not stop the work."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()

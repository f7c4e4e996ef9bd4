"""Logs: structured lines on stderr, coloured on a terminal, JSON elsewhere.

What a process binds here stands in every line that it writes, whichever of its threads or libraries does.
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

# Not rich's tracebacks: they take seconds and print every local variable, API keys among them.
_plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
_coloured = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def configure(level: str) -> None:
    """Set up logging for this process; `level` is debug, info, warning or error.

    Libraries log through the standard module; only what goes wrong there is worth a line.
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
    """Have these stand in every line from now on."""
    _bound.update(ids)


@contextmanager
def copied(into: Path, **ids: object) -> Iterator[None]:
    """While the block runs `ids` stand in every line, and all but mere debugging also goes into a file."""
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


def _from_level(least: int) -> Processor:
    """Drops what is less severe."""

    def drop_or_pass(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
        if logging.getLevelNamesMapping()[line["level"].upper()] < least:
            raise structlog.DropEvent
        return line

    return drop_or_pass


class _Stderr:
    """stderr, whose failure stops nobody's work: it may lead to a disk that is full."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()

"""The Range header (RFC 9110, section 14): the bytes of a file that a client requests. Pure functions."""

import re
from typing import NamedTuple

from farm.errors import RangeNotSatisfiable

ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,20})-([0-9]{0,20})[ \t]*", re.IGNORECASE)


class Part(NamedTuple):
    """`length` bytes from `start`."""

    start: int
    length: int


def parse(header: str | None, size: int) -> Part | None:
    """The requested part of a file of `size` bytes; None means the whole file.

    A header that is malformed or requests several ranges is ignored, as the RFC allows. Raises RangeNotSatisfiable when
    the range contains no byte of the file.
    """
    match = ONE_RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # "-500": the last 500 bytes
        length = min(int(last), size)
        if not length:
            raise RangeNotSatisfiable(size)
        return Part(size - length, length)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return Part(start, end - start + 1)

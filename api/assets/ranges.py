"""The Range header (RFC 9110, section 14): which bytes of a file a client asks for. Pure functions."""

import re
from typing import NamedTuple

from farm.errors import RangeNotSatisfiable

ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,20})-([0-9]{0,20})[ \t]*", re.IGNORECASE)


class Part(NamedTuple):
    """`length` bytes from `start`."""

    start: int
    length: int


def parse(header: str | None, size: int) -> Part | None:
    """The part of a file of `size` bytes that is asked for; None means all of it.

    A header that is malformed or asks for several ranges is passed over, as the RFC allows. Raises RangeNotSatisfiable
    when the range holds no byte of the file.
    """
    match = ONE_RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
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

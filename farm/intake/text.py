"""Parses a JSON document in bounded memory, even if base64 data makes up most of the file."""

import base64
import json
import mmap
import os
import re
import secrets
from typing import Any

from farm.errors import InvalidFormat

# Real models stay far below both. The first limits the text itself, without the base64 of data: URIs; the second the
# Python objects, because `[[],[],[]]` grows thirtyfold when parsed.
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_JSON_VALUES = 1_000_000

# Long base64 is measured in place and replaced by a short marker before parsing. That does not change the JSON tokens:
# the base64 contains no quote, backslash or bracket, and neither does the marker.
_PAYLOAD = re.compile(rb';base64,([A-Za-z0-9+/]{256,}+={0,2}+)(?=")')
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_PIECE = 1024 * 1024  # base64 characters that are decoded at once, a multiple of 4


class Payloads:
    """The base64 that was removed from a document; markers in its place record its position and size.

    A marker contains a random token, so that a file cannot forge one and claim data that it does not have.
    """

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._token = secrets.token_hex(8)
        self._marker = re.compile(rf"\*{self._token} ([0-9]+) ([0-9]+) ([0-2])\*")

    def marker(self, start: int, length: int, padding: int) -> bytes:
        """The marker for base64 of this position and length, of which `padding` characters are `=`."""
        return f"*{self._token} {start} {length} {padding}*".encode()

    def decoded_size(self, text: str) -> int | None:
        """The decoded size of the text after `;base64,`; None if it is not base64."""
        if marker := self._marker.fullmatch(text):
            length, padding = int(marker[2]), int(marker[3])
        elif _BASE64.fullmatch(text):
            length, padding = len(text), text[-2:].count("=")
        else:
            return None
        return None if length % 4 else length // 4 * 3 - padding

    def decode(self, uri: str) -> bytes | mmap.mmap:
        """The data of a URI that has passed `document.check_values`. Large data is mapped from anonymous memory."""
        text = uri.partition(";base64,")[2]
        marker = self._marker.fullmatch(text)
        if marker is None:
            return base64.b64decode(text)
        start, end = int(marker[1]), int(marker[1]) + int(marker[2])
        with os.fdopen(os.memfd_create("payload"), "wb") as file:  # the process may write to no folder
            for at in range(start, end, _PIECE):
                file.write(base64.b64decode(self._content[at : min(at + _PIECE, end)]))
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_json(content: mmap.mmap, start: int, end: int) -> tuple[dict[str, Any], Payloads]:
    """Parse the JSON between two offsets.

    Raises InvalidFormat: too large, not UTF-8, not JSON (which excludes NaN and Infinity), or not an object.
    """
    payloads = Payloads(content)
    raw = _without_payloads(content, start, end, payloads)
    values = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if values > MAX_JSON_VALUES:
        raise InvalidFormat(f"The model's JSON holds more than {MAX_JSON_VALUES:,} values: simplify the model")
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InvalidFormat("The model's JSON is not UTF-8: export the model again") from None
    except RecursionError:
        raise InvalidFormat("The model's JSON is nested too deeply: export the model again") from None
    except json.JSONDecodeError as error:
        # Exporters write one long line, so an excerpt is more useful than line and column.
        near = ascii(error.doc[max(error.pos - 20, 0) : error.pos + 20])
        raise InvalidFormat(
            f"The model's JSON cannot be read: {error.msg}, near {near}. Export the model again"
        ) from None
    except ValueError:
        # The only other error of Python's parser.
        raise InvalidFormat("The model's JSON holds a number of thousands of digits: export the model again") from None
    if not isinstance(document, dict):
        raise InvalidFormat("The model's JSON is not an object at its top level: export the model again")
    return document, payloads


def _without_payloads(content: mmap.mmap, start: int, end: int, payloads: Payloads) -> bytes:
    parts: list[bytes] = []
    total, at = 0, start
    for run in _PAYLOAD.finditer(content, start, end):
        first, last = run.span(1)
        total += first - at
        _check_size(total)
        parts += [content[at:first], payloads.marker(first, last - first, content[last - 2 : last].count(b"="))]
        at = last
    _check_size(total + end - at)
    parts.append(content[at:end])
    return b"".join(parts)


def _check_size(size: int) -> None:
    if size > MAX_JSON_BYTES:
        raise InvalidFormat(
            f"The model's JSON is larger than {MAX_JSON_BYTES // 1024**2} MB, embedded data not counted: export as "
            "GLB, which keeps geometry out of the JSON"
        )


def _refuse_constant(constant: str) -> None:
    raise InvalidFormat(
        f"The model's JSON holds {constant}, which is not a JSON number: repair the model and export again"
    )

"""From bytes to a JSON document in bounded memory, even where base64 makes up nearly all of the file."""

import json
import mmap
import re
import secrets
from typing import Any

from farm.errors import InvalidFormat

# Real models stay far below both. The first bounds the text itself, without the base64 of data: URIs; the second what
# Python makes of it, as `[[],[],[]]` would grow thirtyfold.
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_JSON_VALUES = 1_000_000

# Long base64 is measured where it lies and replaced by a short mark before parsing. That cannot change how the text is
# split into JSON tokens: the run holds no quote, backslash or bracket, and neither does the mark.
_PAYLOAD = re.compile(rb';base64,([A-Za-z0-9+/]{256,}+={0,2}+)(?=")')
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class Payloads:
    """The base64 that was left out of a document: its marks stand in its place and know its size.

    A mark holds a random word, so that a sender cannot write one and claim data that is not there.
    """

    def __init__(self) -> None:
        self._word = secrets.token_hex(8)
        self._mark = re.compile(rf"\*{self._word} ([0-9]+) ([0-2])\*")

    def mark(self, length: int, padding: int) -> bytes:
        """What stands in the document for base64 of this length, of which so many are `=`."""
        return f"*{self._word} {length} {padding}*".encode()

    def decoded_size(self, text: str) -> int | None:
        """How many bytes the text after `;base64,` stands for; None where it is not base64."""
        if mark := self._mark.fullmatch(text):
            length, padding = int(mark[1]), int(mark[2])
        elif _BASE64.fullmatch(text):
            length, padding = len(text), text[-2:].count("=")
        else:
            return None
        return None if length % 4 else length // 4 * 3 - padding


def read_json(content: mmap.mmap, start: int, end: int) -> tuple[dict[str, Any], Payloads]:
    """Parse the JSON between two offsets.

    Raises InvalidFormat: too much of it, not UTF-8, not JSON (NaN and Infinity are not), or not an object.
    """
    payloads = Payloads()
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
        # Exporters write one long line, so a few characters say more than a line and a column.
        near = ascii(error.doc[max(error.pos - 20, 0) : error.pos + 20])
        raise InvalidFormat(
            f"The model's JSON cannot be read: {error.msg}, near {near}. Export the model again"
        ) from None
    except ValueError:
        # The only other thing that Python's parser refuses.
        raise InvalidFormat("The model's JSON holds a number of thousands of digits: export the model again") from None
    if not isinstance(document, dict):
        raise InvalidFormat("The model's JSON is not an object at its top level: export the model again")
    return document, payloads


def _without_payloads(content: mmap.mmap, start: int, end: int, payloads: Payloads) -> bytes:
    kept: list[bytes] = []
    total, at = 0, start
    for run in _PAYLOAD.finditer(content, start, end):
        first, last = run.span(1)
        total += first - at
        _refuse_bulk(total)
        kept += [content[at:first], payloads.mark(last - first, content[last - 2 : last].count(b"="))]
        at = last
    _refuse_bulk(total + end - at)
    kept.append(content[at:end])
    return b"".join(kept)


def _refuse_bulk(size: int) -> None:
    if size > MAX_JSON_BYTES:
        raise InvalidFormat(
            f"The model's JSON is larger than {MAX_JSON_BYTES // 1024**2} MB, embedded data not counted: export as "
            "GLB, which keeps geometry out of the JSON"
        )


def _refuse_constant(constant: str) -> None:
    raise InvalidFormat(
        f"The model's JSON holds {constant}, which is not a JSON number: repair the model and export again"
    )

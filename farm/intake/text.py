"""From bytes to a JSON document in bounded memory, even where base64 makes up nearly all of the file."""

import json
import mmap
import re
from dataclasses import dataclass
from typing import Any

from farm.errors import InvalidFormat

# Real models stay far below both. The first bounds the text itself, without the base64 of data: URIs; the second what
# Python makes of it, as `[[],[],[]]` would grow thirtyfold.
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_JSON_VALUES = 1_000_000

Document = dict[str, Any]

# Long base64 is measured where it lies and replaced by a short mark before parsing. That cannot change how the text is
# split into JSON tokens: the run holds no quote, backslash or bracket, and neither does the mark. `*` is not base64.
_PAYLOAD = re.compile(rb"(?<=;base64,)[A-Za-z0-9+/]{256,}={0,2}")
_MARK = re.compile(r"\*([0-9]+)\*")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


@dataclass(frozen=True)
class Payloads:
    """The sizes of the base64 texts that were left out of the document, in their order in the file."""

    sizes: tuple[tuple[int, int], ...]

    def decoded_size(self, base64_text: str) -> int | None:
        """How many bytes the text after `;base64,` stands for; None where it is not base64."""
        mark = _MARK.fullmatch(base64_text)
        if mark:
            length, padding = self.sizes[int(mark[1])]
        elif _BASE64.fullmatch(base64_text):
            length, padding = len(base64_text), base64_text[-2:].count("=")
        else:
            return None
        return None if length % 4 else length // 4 * 3 - padding


def read_json(content: mmap.mmap, start: int, end: int) -> tuple[Document, Payloads]:
    """Parse the JSON between two offsets. Raises InvalidFormat: too much of it, not UTF-8, not JSON, not an object."""
    raw, payloads = _without_payloads(content, start, end)
    values = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if values > MAX_JSON_VALUES:
        raise InvalidFormat(f"The model's JSON holds more than {MAX_JSON_VALUES:,} values: simplify the model")
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidFormat(
            f"The model's JSON is not UTF-8 (byte {error.start} of it): export the model again"
        ) from None
    except RecursionError:
        raise InvalidFormat("The model's JSON is nested too deeply: export the model again") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidFormat(f"The model's JSON cannot be read: {error.msg} ({where}). Export the model again") from None
    except ValueError:
        # The only other thing that Python's parser refuses.
        raise InvalidFormat("The model's JSON holds a number of thousands of digits: export the model again") from None
    if not isinstance(document, dict):
        raise InvalidFormat("The model's JSON is not an object at its top level: export the model again")
    return document, payloads


def _without_payloads(content: mmap.mmap, start: int, end: int) -> tuple[bytes, Payloads]:
    kept: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    total, at = 0, start
    for run in _PAYLOAD.finditer(content, start, end):
        first, last = run.span()
        total += first - at
        _refuse_bulk(total)
        kept += [content[at:first], b"*%d*" % len(sizes)]
        sizes.append((last - first, content[last - 2 : last].count(b"=")))
        at = last
    _refuse_bulk(total + end - at)
    kept.append(content[at:end])
    raw = b"".join(kept)
    # A mark of the sender's own making would borrow another payload's size.
    if raw.count(b";base64,*") != len(sizes):
        raise InvalidFormat("A data: URI of the model is not base64 ('*' after ';base64,'): export the model again")
    return raw, Payloads(tuple(sizes))


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

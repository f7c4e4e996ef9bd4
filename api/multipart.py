"""Receives a multipart form with one file, which is hashed and streamed to disk, never held whole in memory."""

import hashlib
import re
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.dependencies import farm_of
from farm.errors import FarmError, FileTooLarge, InvalidRequest, NoFile

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE = "file"
MAX_FORM_OVERHEAD_BYTES = 1024 * 1024  # of a body besides the file
MAX_PARTS = 20
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4096
MAX_NAME_LENGTH = 255
# filename*=UTF-8''chair.glb (RFC 8187)
_EXTENDED_NAME = re.compile(
    r";\s*filename\*\s*=\s*\"?(?P<charset>[\w.-]+)'[\w-]*'(?P<value>[^\s;\"]*)", re.ASCII | re.IGNORECASE
)
# A mistake of HTTP libraries, too: Node's fetch sends a stream as the text "[object Object]".
FILE_SENT_AS_TEXT = (
    "'file' came as a text field. Send its bytes with a file name; from Node.js, a Blob and not a stream"
)


@dataclass(frozen=True)
class Upload:
    """A received file, which exists until the request ends, and the text fields of the form."""

    path: Path
    name: str
    size: int
    sha256: str
    fields: dict[str, str]


@dataclass(frozen=True)
class TextField:
    """An optional field of a form: at most `max_bytes` of UTF-8; otherwise `error` is raised."""

    name: str
    max_bytes: int
    error: type[FarmError] = InvalidRequest


def form(
    file: str, example_name: str, fields: dict[str, Any], encoding: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The OpenAPI request body of a form, which FastAPI cannot derive because the form is read as a stream.

    `file` describes the file, `example_name` is the name of an example, and `fields` are the JSON schemas of the
    optional fields.
    """
    properties = {FILE: {"type": "string", "format": "binary", "description": file}, **fields}
    disposition = {
        "description": "The file's name, whose suffix tells its format",
        "schema": {"type": "string"},
        "example": f'form-data; name="{FILE}"; filename="{example_name}"',
    }
    content = {
        "schema": {"type": "object", "required": [FILE], "properties": properties, "additionalProperties": False},
        "encoding": {FILE: {"headers": {"Content-Disposition": disposition}}, **(encoding or {})},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": content}}}


@asynccontextmanager
async def receive(request: Request, max_bytes: int, fields: Sequence[TextField] = ()) -> AsyncIterator[Upload]:
    """Yield the form's one file, of at most `max_bytes`, and those of the `fields` that it has.

    Raises NoFile, FileTooLarge, InvalidRequest for a malformed form or one of more than MAX_PARTS parts, or a field's
    own error.
    """
    max_body_bytes = max_bytes + MAX_FORM_OVERHEAD_BYTES
    too_large = FileTooLarge(f"The file exceeds the {max_bytes / 2**20:g} MB limit")
    boundary = _boundary(request.headers.get("content-type"))
    content_length = request.headers.get("content-length", "")
    if content_length.isdecimal() and int(content_length) > max_body_bytes:
        raise too_large
    # An unnamed file: nothing is left behind however this process ends.
    with TemporaryFile(dir=farm_of(request).settings.data) as file:
        form = _Form(file, max_bytes, too_large, fields)
        received = 0
        try:
            parser = MultipartParser(
                boundary,
                form.callbacks,
                max_header_count=MAX_PART_HEADERS,
                max_header_size=MAX_PART_HEADER_BYTES,
            )
            parts = PartLimit(boundary)
            async for block in request.stream():
                received += len(block)
                if received > max_body_bytes:
                    raise too_large
                parts.count(block)
                await run_in_threadpool(parser.write, block)
        except FormParserError as error:
            raise InvalidRequest(f"The multipart body cannot be read: {error}") from error
        except ClientDisconnect as error:
            raise InvalidRequest("The connection was closed during the upload") from error
        yield form.finish()


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise NoFile
    if not options.get(b"boundary"):
        raise InvalidRequest("The Content-Type header lacks the multipart boundary")
    return options[b"boundary"]


class PartLimit:
    """Counts the lines that start with the boundary, before the parser, which takes a hundred times as long for each.

    They are the parts of a form: RFC 2046 forbids such lines within a part.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter, self._end, self._found = b"\r\n--" + boundary, b"", 0

    def count(self, block: bytes) -> None:
        """Raises InvalidRequest at the first delimiter too many; the one that ends the form is not a part."""
        text = self._end + block
        self._found += text.count(self._delimiter)
        self._end = text[-len(self._delimiter) + 1 :]
        if self._found > MAX_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_PARTS} parts, or a part contains the boundary")


class _Form:
    """Handles the parser's events."""

    def __init__(self, file: IO[bytes], max_bytes: int, too_large: FileTooLarge, fields: Sequence[TextField]) -> None:
        self.file, self.max_bytes, self.too_large = file, max_bytes, too_large
        self.fields = {field.name: field for field in fields}
        self.digest, self.size = hashlib.sha256(), 0
        self.name: str | None = None
        self.file_sent_as_text = False
        self.unknown_field: str | None = None
        self.texts: dict[str, bytearray] = {}
        self.complete = False
        self._part: str | None = None
        self._field, self._value, self._disposition = b"", b"", b""
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def finish(self) -> Upload:
        """The received file and fields. Raises NoFile, or InvalidRequest: incomplete, or a field is unknown."""
        if not self.complete:
            raise InvalidRequest("The multipart body ends before its last boundary")
        if self.name is None:
            raise NoFile(FILE_SENT_AS_TEXT if self.file_sent_as_text else None)
        if self.unknown_field is not None:
            raise InvalidRequest(self._unknown(self.unknown_field))
        self.file.flush()
        return Upload(path_of(self.file), self.name, self.size, self.digest.hexdigest(), self._decoded())

    def _decoded(self) -> dict[str, str]:
        texts = {}
        for name, text in self.texts.items():
            try:
                texts[name] = text.decode()
            except UnicodeDecodeError as error:
                raise self.fields[name].error(f"{name} is not UTF-8 text") from error
        return texts

    def _begin(self) -> None:
        self._part, self._disposition = None, b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _headers_finished(self) -> None:
        header = self._disposition.decode("latin-1")
        _, options = parse_options_header(header)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options[b"filename"].decode("utf-8", "replace") if b"filename" in options else extended_name(header)
        if name == FILE and filename:
            if self.name is not None:
                raise InvalidRequest("Send exactly one file")
            self._part, self.name = FILE, clean_name(filename)
        elif name == FILE:
            self.file_sent_as_text = filename is None
        elif name not in self.fields:
            self.unknown_field = self.unknown_field or name or "a part without a name"
        else:
            if name in self.texts:
                raise InvalidRequest(f"Send the field {name} only once")
            self._part, self.texts[name] = name, bytearray()

    def _unknown(self, name: str) -> str:
        known = ", ".join([FILE, *self.fields])
        problem = f"{name[:80]!a} is not a known field of this form. Known fields: {known}"
        group = name.partition("[")[0]
        return f"{problem}. Send {group} as one field with JSON" if group != name and group in self.fields else problem

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part == FILE:
            self.size += end - start
            if self.size > self.max_bytes:
                raise self.too_large
            block = memoryview(data)[start:end]
            self.file.write(block)
            self.digest.update(block)
        elif self._part in self.texts:
            field, text = self.fields[self._part], self.texts[self._part]
            if len(text) + end - start > field.max_bytes:
                raise field.error(f"{field.name} is larger than {field.max_bytes / 1024:g} KB")
            text += data[start:end]

    def _end(self) -> None:
        self.complete = True


def extended_name(disposition: str) -> str | None:
    """The decoded `filename*` of a Content-Disposition header; None without one, or in an unknown character set.

    RFC 7578 forbids it in forms and python-multipart drops it, but some HTTP libraries send no other name.
    """
    found = _EXTENDED_NAME.search(disposition)
    if found is None:
        return None
    try:
        return unquote_to_bytes(found["value"]).decode(found["charset"], "replace")
    except (LookupError, ValueError):  # the second of Python's codecs for host names
        return None


def path_of(file: IO[bytes]) -> Path:
    """A path to an open file that has no name in the file system."""
    return Path(f"/proc/self/fd/{file.fileno()}")


def clean_name(raw: str) -> str:
    """The base name of a client's file name: printable, at most 255 characters, with its suffix."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", raw))[-1]
    printable = "".join(letter for letter in base if letter.isprintable()).strip()
    suffix = PurePath(printable).suffix[:MAX_NAME_LENGTH]
    return printable.removesuffix(suffix)[: MAX_NAME_LENGTH - len(suffix)] + suffix

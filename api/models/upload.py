"""Receives a multipart upload: the file streams to disk while it is hashed, and is never held whole in memory."""

import hashlib
import re
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.dependencies import farm_of
from farm.errors import FileTooLarge, InvalidRequest, InvalidSettings, NoFile

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE, SETTINGS = "file", "renderSettings"
MOST_SETTINGS = 64 * 1024
AROUND_THE_FILE = 1024 * 1024  # what a body may hold besides the file
LONGEST_NAME = 255


@dataclass(frozen=True)
class Upload:
    """A received file, there until the request ends, and the text of renderSettings if it was sent."""

    path: Path
    name: str
    size: int
    sha256: str
    render_settings: str | None


async def _receive(request: Request) -> AsyncIterator[Upload]:
    settings = farm_of(request).settings
    most = settings.max_upload_bytes + AROUND_THE_FILE
    too_large = FileTooLarge(f"The file exceeds the {settings.max_upload_bytes / 2**20:g} MB limit")
    boundary = _boundary(request.headers.get("content-type"))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_large
    # A file without a name in the file system: whatever ends this process, nothing is left behind.
    with TemporaryFile(dir=settings.data) as file:
        form = _Form(file, settings.max_upload_bytes, too_large)
        parser = MultipartParser(boundary, form.callbacks)
        received = 0
        try:
            async for block in request.stream():
                received += len(block)
                if received > most:
                    raise too_large
                await run_in_threadpool(parser.write, block)
        except FormParserError as error:
            raise InvalidRequest(f"The multipart body cannot be read: {error}") from error
        except ClientDisconnect as error:
            raise InvalidRequest("The upload broke off") from error
        yield form.finish()


Received = Annotated[Upload, Depends(_receive, scope="function")]


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise NoFile
    if not options.get(b"boundary"):
        raise InvalidRequest("The Content-Type lacks the multipart boundary")
    return options[b"boundary"]


class _Form:
    """Follows the parser's events. Parts of other names are passed over."""

    def __init__(self, file: IO[bytes], most: int, too_large: FileTooLarge) -> None:
        self.file, self.most, self.too_large = file, most, too_large
        self.digest, self.size = hashlib.sha256(), 0
        self.name: str | None = None
        self.settings: bytearray | None = None
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
        """What was received. Raises NoFile, or InvalidRequest when the body ends too early."""
        if not self.complete:
            raise InvalidRequest("The multipart body ends before its last boundary")
        if self.name is None:
            raise NoFile
        self.file.flush()
        path = Path(f"/proc/self/fd/{self.file.fileno()}")
        return Upload(path, self.name, self.size, self.digest.hexdigest(), self._settings_text())

    def _settings_text(self) -> str | None:
        if self.settings is None:
            return None
        try:
            return self.settings.decode()
        except UnicodeDecodeError as error:
            raise InvalidSettings("renderSettings is not UTF-8 text") from error

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
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == FILE and options.get(b"filename"):
            if self.name is not None:
                raise InvalidRequest("Send one file an upload")
            self._part, self.name = FILE, clean_name(options[b"filename"].decode("utf-8", "replace"))
        elif name == SETTINGS:
            if self.settings is not None:
                raise InvalidRequest("Send renderSettings once")
            self._part, self.settings = SETTINGS, bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part == FILE:
            self.size += end - start
            if self.size > self.most:
                raise self.too_large
            block = memoryview(data)[start:end]
            self.file.write(block)
            self.digest.update(block)
        elif self._part == SETTINGS and self.settings is not None:
            if len(self.settings) + end - start > MOST_SETTINGS:
                raise InvalidSettings(f"renderSettings is larger than {MOST_SETTINGS // 1024} KB")
            self.settings += data[start:end]

    def _end(self) -> None:
        self.complete = True


def clean_name(raw: str) -> str:
    """The base name of what a client calls its file: printable, at most 255 characters, its ending kept."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", raw))[-1]
    printable = "".join(letter for letter in base if letter.isprintable()).strip()
    ending = PurePath(printable).suffix[:LONGEST_NAME]
    return printable.removesuffix(ending)[: LONGEST_NAME - len(ending)] + ending

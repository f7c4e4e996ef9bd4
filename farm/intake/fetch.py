"""Downloads a file from an untrusted URL: from public addresses only, with limits of size and time.

A host name is resolved once, and the connection goes to the address that was checked, so that DNS rebinding has no
effect. The same holds for every redirect. Messages contain nothing that the host sent, except its status.
"""

import hashlib
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

import anyio
import httpcore
import httpx
from python_multipart.multipart import parse_options_header

from farm.errors import DownloadFailed, DownloadTimeout, FileTooLarge, InvalidUrl
from farm.intake.destinations import Destinations

MAX_REDIRECTS = 3
MAX_URL_LENGTH = 2048
REDIRECTS = {301, 302, 303, 307, 308}
HEADERS = {"User-Agent": "Plinth", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Fetched:
    """A downloaded file: its name according to the host or the URL, and the size and SHA-256 of its bytes."""

    name: str
    size: int
    sha256: str


async def fetch(url: str, file: IO[bytes], *, max_bytes: int, timeout_seconds: float, allowed: Destinations) -> Fetched:
    """Download `url` into `file`: at most `max_bytes` within `timeout_seconds`, DNS look-up and redirects included.

    Raises InvalidUrl, DownloadTimeout, FileTooLarge, or DownloadFailed when the host cannot be reached or does not
    send the file.
    """
    try:
        with anyio.fail_after(timeout_seconds):
            async with _follow_redirects(_parse(url), allowed) as (response, final):
                return await _receive(response, final, file, max_bytes)
    except TimeoutError as error:
        raise DownloadTimeout(f"The download took longer than {timeout_seconds:g} seconds") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, ssl.SSLError) as error:
        raise DownloadFailed(_explained(error)) from error


def _explained(error: Exception) -> str:
    if isinstance(error.__cause__, ssl.SSLError):
        return "The URL's host has no valid TLS certificate, or does not speak TLS"
    if isinstance(error, httpcore.ConnectError):
        return "The URL's host cannot be reached"
    return "The URL's host closed the connection, or does not respond in valid HTTP"


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url) if len(url) <= MAX_URL_LENGTH else None
    except (httpx.InvalidURL, ValueError):  # UnicodeError is a ValueError
        parsed = None
    if parsed is None or not parsed.raw_host or url != url.strip():
        raise InvalidUrl("The URL is malformed: send one like https://example.com/model.glb")
    if parsed.scheme not in ("http", "https"):
        raise InvalidUrl("The URL must start with http:// or https://")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise InvalidUrl("The URL has an invalid port: use one from 1 to 65535")
    if parsed.userinfo:
        raise InvalidUrl("The URL holds a user name or password: send one without")
    return parsed


@asynccontextmanager
async def _follow_redirects(
    url: httpx.URL, allowed: Destinations
) -> AsyncIterator[tuple[httpcore.Response, httpx.URL]]:
    """The response at the end of all redirects, and its URL. Proxies of the environment are ignored."""
    async with httpcore.AsyncConnectionPool(network_backend=PublicNetwork(allowed)) as pool:
        for _ in range(MAX_REDIRECTS + 1):
            async with pool.stream("GET", _for_httpcore(url), headers=_headers(url)) as response:
                if response.status not in REDIRECTS:
                    if response.status != 200:
                        raise DownloadFailed(f"The URL's host responded with status {response.status}")
                    yield response, url
                    return
                url = _redirected(url, response)
    raise DownloadFailed(f"The URL redirects more than {MAX_REDIRECTS} times")


def _for_httpcore(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _headers(url: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
    return [("Host", url.netloc), *HEADERS.items()]


def _redirected(url: httpx.URL, response: httpcore.Response) -> httpx.URL:
    location = _header(response, b"location")
    if not location:
        raise DownloadFailed(f"The URL's host responded with status {response.status}, but without a Location header")
    try:
        return _parse(str(url.join(location)))
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidUrl("The URL redirects to a malformed one") from error


async def _receive(response: httpcore.Response, url: httpx.URL, file: IO[bytes], max_bytes: int) -> Fetched:
    too_large = FileTooLarge(f"The file exceeds the {max_bytes / 2**20:g} MB limit")
    if _header(response, b"content-encoding").lower() not in ("", "identity"):
        raise DownloadFailed("The URL's host sends the file compressed, although the request excludes that")
    content_length = _header(response, b"content-length")
    if content_length.isdecimal() and int(content_length) > max_bytes:
        raise too_large
    digest, size = hashlib.sha256(), 0
    async for block in response.aiter_stream():
        size += len(block)
        if size > max_bytes:
            raise too_large
        digest.update(block)
        await anyio.to_thread.run_sync(file.write, block)
    file.flush()
    return Fetched(_name(response, url), size, digest.hexdigest())


def _name(response: httpcore.Response, url: httpx.URL) -> str:
    _, options = parse_options_header(_header(response, b"content-disposition"))
    file_name = options.get(b"filename", b"").decode("utf-8", "replace")
    return file_name or unquote(PurePosixPath(url.path).name)


def _header(response: httpcore.Response, name: bytes) -> str:
    found: bytes = next((value for key, value in response.headers if key.lower() == name), b"")
    return found.decode("utf-8", "replace")


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connects to allowed destinations only: tries the addresses of a host in order until one accepts."""

    def __init__(self, allowed: Destinations) -> None:
        self.allowed = allowed
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises InvalidUrl when any of the host's addresses, or the port, is not allowed."""
        problem: httpcore.NetworkError | None = None
        for address in await self.allowed.addresses(host, port):
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except httpcore.NetworkError as error:
                problem = error
        raise problem or DownloadFailed("The URL's host name cannot be resolved")

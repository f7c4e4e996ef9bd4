"""The clients of a real server, and a model's file for it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from plinth_client import Plinth
from tests.client.driven import KINDS, Connect, driven
from tests.support.clients import Client
from tests.support.glb import glb


@pytest.fixture
def chair(tmp_path: Path) -> Path:
    """A model's file."""
    path = tmp_path / "chair.glb"
    path.write_bytes(glb(bytes(300_000)))
    return path


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens one of the two clients: the test runs with both."""
    return Plinth if request.param == "synchronous" else driven


@pytest.fixture
def plinth(url: str, client: Client, connect: Connect) -> Iterator[Plinth]:
    """A client with the account's key."""
    with connect(url, client.key) as plinth:
        yield plinth


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """The requests of both clients, as they are sent."""
    requests: list[httpx.Request] = []
    send, send_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def record(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return send(transport, request)

    async def record_async(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return await send_async(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", record)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", record_async)
    return requests

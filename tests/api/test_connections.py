"""Clients that send or read too slowly, or open too many connections: they are cut off, and others are served."""

import http.client
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from redis import Redis

from api import connection
from api.security_headers import SECURITY_HEADERS
from farm.db.session import Database
from farm.settings import Settings
from tests.support.api import assert_error, assert_nothing_left, uploaded
from tests.support.clients import Client
from tests.support.glb import glb
from tests.support.polling import until
from tests.support.processes import FARM, free_port

MB = 1024 * 1024
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="chair.glb"\r\n\r\n'
PAUSE_SECONDS = 0.05


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A farm with short deadlines."""
    return settings.model_copy(update={"head_timeout": 0.5, "body_timeout": 0.5, "client_rate": 10_000})


class Answer:
    """A response as it comes from a socket."""

    def __init__(self, talk: socket.socket) -> None:
        response = http.client.HTTPResponse(talk)
        response.begin()
        self.status_code, self.headers, self.text = response.status, response.headers, response.read()

    def json(self) -> object:
        return json.loads(self.text)


def dial(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=60)


def head(method: str, path: str, **headers: object) -> bytes:
    """A request's head. An underscore in a name is a hyphen."""
    lines = [f"{method} {path} HTTP/1.1", "Host: farm"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def drip(talk: socket.socket, byte: bytes = b"x") -> None:
    """Send a byte now and then until the server has closed the connection, for at most 30 seconds."""
    deadline = time.monotonic() + 30
    with suppress(ConnectionError):
        while time.monotonic() < deadline:
            talk.sendall(byte)
            time.sleep(PAUSE_SECONDS)
        raise TimeoutError("the server did not close the connection")


def is_held(url: str, talk: socket.socket) -> bool:
    """Whether the server, in this process, still has its end of the connection."""
    ends = urlsplit(url).port, talk.getsockname()[1]
    return any(
        (entry.laddr.port, entry.raddr and entry.raddr.port) == ends and entry.status == psutil.CONN_ESTABLISHED
        for entry in psutil.Process().net_connections("tcp")
    )


class TestHead:
    def test_has_a_deadline(self, url: str) -> None:
        with dial(url) as talk:
            talk.sendall(b"GET /v1/health HTTP/1.1\r\nX-Slow: ")
            drip(talk)
            answer = Answer(talk)
        assert_error(answer, "request_timeout", 408, "0.5 seconds")
        assert answer.headers["connection"] == "close"
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS

    def test_has_a_deadline_after_another_request(self, url: str) -> None:
        with dial(url) as talk:
            talk.sendall(head("GET", "/v1/health") + b"GET /v1/health HTTP/1.1\r\nX-Slow: ")
            assert Answer(talk).status_code == 200
            drip(talk)
            assert_error(Answer(talk), "request_timeout", 408)

    def test_may_not_be_missing(self, url: str) -> None:
        with dial(url) as talk:
            assert talk.recv(1) == b"", "closed without a word"

    def test_may_follow_a_slow_response(self, url: str) -> None:
        with dial(url) as talk:
            for _ in range(5):
                talk.sendall(head("GET", "/v1/health"))
                assert Answer(talk).status_code == 200
                time.sleep(0.2)

    @pytest.mark.parametrize(
        "sent",
        [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\n\xff: x\r\n\r\n", b"GET /" + b"x" * 70_000, b"\x16\x03\x01" * 9],
    )
    def test_is_refused_in_the_canonical_form(self, url: str, sent: bytes) -> None:
        with dial(url) as talk:
            talk.sendall(sent)
            answer = Answer(talk)
        assert_error(answer, "invalid_request", 400)
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


class TestBody:
    @pytest.mark.parametrize(
        ("path", "kind", "start"),
        [
            ("/v1/models", "multipart/form-data; boundary=x", FORM),
            ("/v1/renders", "application/json", b'{"modelId": "'),
        ],
    )
    def test_is_refused_when_it_drips(
        self,
        url: str,
        client: Client,
        settings: Settings,
        database: Database,
        redis: Redis,
        path: str,
        kind: str,
        start: bytes,
    ) -> None:
        with dial(url) as talk:
            key = client.headers["Authorization"]
            talk.sendall(head("POST", path, Authorization=key, Content_Type=kind, Content_Length=MB) + start)
            drip(talk)
            answer = Answer(talk)
        assert_error(answer, "request_timeout", 408)
        assert answer.headers["connection"] == "close"
        assert_nothing_left(settings, database, redis)

    def test_may_take_long_at_the_minimum_rate(self, url: str, client: Client) -> None:
        body = b'{"modelId": "Ab3kF9x2qL1m"}'.ljust(40_000)
        with dial(url) as talk:
            key = client.headers["Authorization"]
            talk.sendall(
                head(
                    "POST", "/v1/renders", Authorization=key, Content_Type="application/json", Content_Length=len(body)
                )
            )
            for start in range(0, len(body), 2000):
                talk.sendall(body[start : start + 2000])
                time.sleep(PAUSE_SECONDS)  # more than 0.5 seconds in all
            assert_error(Answer(talk), "model_not_found", 404)

    def test_is_refused_in_tiny_chunks(self, url: str, client: Client) -> None:
        key, kind = client.headers["Authorization"], "multipart/form-data; boundary=x"
        lines = head("POST", "/v1/models", Authorization=key, Content_Type=kind, Transfer_Encoding="chunked")
        with dial(url) as talk:
            talk.sendall(lines + b"1\r\nx\r\n" * 2 * connection.MAX_SMALL_CHUNKS)
            assert_error(Answer(talk), "invalid_request", 400, "small chunks")

    def test_may_come_in_many_chunks_of_a_usual_size(self, url: str, client: Client) -> None:
        content = [FORM, *[bytes(1000)] * 3 * connection.MAX_SMALL_CHUNKS, b"\r\n--x--\r\n"]
        headers = client.headers | {"Content-Type": "multipart/form-data; boundary=x"}
        assert_error(httpx.post(f"{url}/v1/models", content=iter(content), headers=headers), "invalid_format", 400)

    def test_may_not_drip_on_after_its_response(self, url: str) -> None:
        with dial(url) as talk:
            talk.sendall(head("POST", "/v1/renders", Content_Length=MB))
            assert_error(Answer(talk), "unauthorized", 401)
            drip(talk)

    def test_may_not_go_on_for_ever_after_its_response(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "MAX_REST_BYTES", 2 * MB)
        with dial(url) as talk:
            talk.sendall(head("POST", "/v1/renders", Content_Length=10**12))
            assert_error(Answer(talk), "unauthorized", 401)
            with pytest.raises(ConnectionError):
                talk.sendall(bytes(100 * MB))

    def test_is_read_on_after_its_response_from_a_client_that_only_sends(self, url: str) -> None:
        with dial(url) as talk:
            talk.sendall(head("POST", "/v1/renders", Content_Length=20 * MB))
            for _ in range(20):
                talk.sendall(bytes(MB))
            assert_error(Answer(talk), "unauthorized", 401)
            talk.sendall(head("GET", "/v1/health"))
            assert Answer(talk).status_code == 200, "the connection can be used again"


class TestResponse:
    @pytest.fixture
    def request_head(self, public_api: httpx.Client, client: Client) -> bytes:
        """Of a request for a file of 20 MB."""
        model = uploaded(public_api, glb(bytes(20 * MB)), headers=client.headers)["modelId"]
        return head("GET", f"/v1/models/{model}/file", Authorization=client.headers["Authorization"])

    def test_is_cut_off_from_a_client_that_does_not_read(
        self, url: str, request_head: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "STALL_SECONDS", 0.5)
        with dial(url) as talk:
            talk.sendall(request_head)
            assert talk.recv(1) == b"H"
            assert is_held(url, talk)
            until(lambda: not is_held(url, talk))

    def test_may_be_read_slowly(self, url: str, request_head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "STALL_SECONDS", 2.0)
        with dial(url) as talk:
            talk.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
            talk.sendall(request_head)
            slow_bytes = 0
            while slow_bytes < 2 * MB:
                slow_bytes += len(talk.recv(16 * 1024))
                time.sleep(PAUSE_SECONDS)  # more than 2 seconds in all
            rest = 0
            while rest + slow_bytes < 20 * MB:
                block = talk.recv(MB)
                assert block, "the connection was closed"
                rest += len(block)

    def test_of_one_piece_may_be_read_slowly(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It waits in the API's buffer after the request has ended, for longer than the next head may take."""
        monkeypatch.setattr(connection, "KERNEL_BYTES", 4096)
        monkeypatch.setattr(connection, "STALL_SECONDS", 2.0)
        with dial(url) as talk:
            talk.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            talk.sendall(head("GET", "/openapi.json"))
            received = talk.recv(4096)
            size = int(received.lower().split(b"content-length: ")[1].split(b"\r")[0])
            assert size > 100_000
            while len(received) < size:
                block = talk.recv(4096)
                assert block, "the connection was closed"
                received += block
                time.sleep(PAUSE_SECONDS)


class TestTooManyRequests:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_requests": 2, "body_timeout": 60.0})

    def test_get_503_except_for_the_health_check(self, url: str, client: Client) -> None:
        key = client.headers["Authorization"]
        kind = "multipart/form-data; boundary=x"
        form = head("POST", "/v1/models", Authorization=key, Content_Type=kind, Content_Length=MB) + FORM

        def ask() -> httpx.Response:
            return httpx.get(f"{url}/v1/account", headers=client.headers)

        with ExitStack() as uploads:

            def begin() -> socket.socket:
                talk = uploads.enter_context(dial(url))
                talk.sendall(form)
                return talk

            talks = [begin(), begin()]

            def ask_beside_uploads() -> httpx.Response:
                refused, _, _ = select.select(talks, [], [], 0)  # one that came while a call of this test was answered
                talks[:] = [begin() if talk in refused else talk for talk in talks]
                return ask()

            refused = until(ask_beside_uploads, lambda answer: answer.status_code == 503)
            assert_error(refused, "unavailable", 503, "2 requests at a time", "try again")
            assert refused.headers["retry-after"] == "1"
            assert httpx.get(f"{url}/v1/health").status_code == 200
        until(ask, lambda answer: answer.status_code == 200)

    def test_are_not_those_whose_responses_are_read_slowly(self, url: str, client: Client) -> None:
        """A page that needs no key: 1.4 MB, more than the kernel takes."""
        with ExitStack() as readers:
            for _ in range(3):
                talk = readers.enter_context(dial(url))
                talk.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
                talk.sendall(head("GET", "/docs/swagger-ui-bundle.js"))
                assert talk.recv(12) == b"HTTP/1.1 200"
            assert httpx.get(f"{url}/v1/account", headers=client.headers).status_code == 200


class TestTooManyConnections:
    """Under a limit of 256 open files, as 1024 is usual on a real system."""

    FILES, ATTACKERS = 256, 300

    @pytest.fixture
    def log(self, tmp_path: Path) -> Path:
        return tmp_path / "log"

    @pytest.fixture
    def url(self, settings: Settings, database: Database, log: Path) -> Iterator[str]:  # noqa: ARG002 - migrated
        port = free_port()
        variables = {"FARM_DATA": settings.data, "FARM_REDIS_URL": settings.redis_url, "FARM_PORT": port}
        environment = os.environ | {name: str(value) for name, value in variables.items()}
        limited = f"ulimit -n {self.FILES} && exec {FARM} serve"
        with log.open("wb") as stderr:
            process = subprocess.Popen(["sh", "-c", limited], env=environment, stderr=stderr)
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: answers(url))
            yield url
        finally:
            process.kill()
            process.wait()

    def test_do_not_keep_others_out(self, url: str, client: Client, log: Path) -> None:
        with ExitStack() as attack:
            for _ in range(self.ATTACKERS):
                talk = attack.enter_context(dial(url))
                talk.sendall(b"POST /v1/models HTTP/1.1\r\n")
            with ThreadPoolExecutor(8) as pool:
                asked = [pool.submit(httpx.get, f"{url}/v1/account", headers=client.headers) for _ in range(40)]
            assert [each.result().status_code for each in asked] == [200] * 40
            assert httpx.get(f"{url}/v1/health").status_code == 200
        lines = log.read_text().splitlines()
        assert sum("accept_failed" in line for line in lines) <= 1
        assert len(lines) < 60, "a line for each request, and none for each connection"

    def test_that_owe_the_rest_of_a_refused_body_do_not_keep_others_out(self, url: str, client: Client) -> None:
        with ExitStack() as attack:
            for _ in range(self.ATTACKERS):
                talk = attack.enter_context(dial(url))
                talk.sendall(b"POST /v1/models HTTP/1.1\r\nHost: farm\r\nContent-Length: 100000\r\n\r\nx")
                assert talk.recv(64).startswith(b"HTTP/1.1 401")
            with ThreadPoolExecutor(8) as pool:
                asked = [pool.submit(httpx.get, f"{url}/v1/account", headers=client.headers) for _ in range(40)]
            assert [each.result().status_code for each in asked] == [200] * 40


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/v1/health").status_code == 200
    return False


def test_an_accept_error_is_logged_once(settings: Settings, database: Database, tmp_path: Path) -> None:  # noqa: ARG001
    """With all files in use, asyncio reports each of hundreds of attempts a second."""
    code = """
import asyncio, os, socket, threading
from api.server import make_server
from farm import logs
from farm.settings import Settings

logs.configure("info")
server = make_server(Settings())
listener = socket.create_server(("127.0.0.1", 0))
caller = socket.socket()
caller.setblocking(False)

async def use_all_files():
    while not server.started:
        await asyncio.sleep(0.05)
    files = []
    try:
        while True:
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    caller.connect_ex(listener.getsockname())
    await asyncio.sleep(2.5)
    for file in files:
        os.close(file)
    server.should_exit = True

async def main():
    await asyncio.gather(server.serve([listener]), use_all_files())

asyncio.run(main())
"""
    environment = os.environ | {"FARM_DATA": str(settings.data), "FARM_REDIS_URL": settings.redis_url}
    command = ["sh", "-c", 'ulimit -n 128 && exec "$0" -c "$1"', sys.executable, code]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("accept_failed") == 1
    assert len(ran.stderr) < 2000

"""Streaming over a real socket: uploads that are large, too large or interrupted."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from farm.db.session import Database
from farm.settings import Settings
from tests.support import s3
from tests.support.api import assert_error, assert_nothing_left
from tests.support.clients import Client
from tests.support.glb import glb
from tests.support.polling import until

MB = 1024 * 1024
LIMIT = 70 * MB
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="chair.glb"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"
FORM = {"Content-Type": "multipart/form-data; boundary=x"}

SERVE = """
import socket, sys
from api.server import make_server
from farm.settings import Settings
make_server(Settings()).run([socket.socket(fileno=int(sys.argv[1]))])
"""


@dataclass
class Server:
    """A server process with its own port."""

    port: int
    process: subprocess.Popen[bytes]
    data: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def peak_memory(self) -> int:
        """The peak resident memory of the process in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024

    def open_uploads(self) -> int:
        """Number of unnamed files that the process has open in its data folder."""
        count = 0
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                count += str(link.readlink()).startswith(f"{self.data}/#")
        return count


@pytest.fixture
def server(settings: Settings, database: Database, s3_settings: dict[str, Any]) -> Iterator[Server]:  # noqa: ARG001
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = os.environ | {
            "FARM_DATA": str(settings.data),
            "FARM_REDIS_URL": settings.redis_url,
            "FARM_MAX_UPLOAD_BYTES": str(LIMIT),
            **s3.environment(s3_settings),
        }
        command = [sys.executable, "-c", SERVE, str(listener.fileno())]
        process = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()])
        server = Server(listener.getsockname()[1], process, settings.data)
        try:
            connection = server.connect()  # waits in the listener's queue until the server accepts it
            connection.request("GET", "/v1/health")
            assert connection.getresponse().status == 200
            yield server
        finally:
            process.kill()  # SIGTERM would wait for connections that tests leave open
            process.wait()


@dataclass
class Answer:
    status_code: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def read(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    return Answer(response.status, response.read())


def blocks(size: int) -> Iterator[bytes]:
    """A form with a file of `size` bytes, generated while it is sent."""
    yield HEAD
    for _ in range(size // MB):
        yield bytes(MB)
    yield TAIL


class TestUpload:
    @pytest.mark.on_both_storages
    def test_does_not_hold_a_large_file_in_memory(self, server: Server, client: Client) -> None:
        content = glb(bytes(60 * MB))
        before = server.peak_memory()
        connection = server.connect()
        connection.request("POST", "/v1/models", HEAD + content + TAIL, FORM | client.headers)
        answer = read(connection)
        assert answer.status_code == 201, answer.body
        assert server.peak_memory() - before < 20 * MB
        assert server.peak_memory() < 200 * MB

        connection.request("GET", f"/v1/models/{answer.json()['data']['modelId']}/file", headers=client.headers)
        assert connection.getresponse().read() == content
        assert server.peak_memory() - before < 20 * MB

    def test_is_stopped_at_the_limit_without_content_length(
        self, server: Server, client: Client, settings: Settings, database: Database, redis: Redis
    ) -> None:
        connection = server.connect()
        connection.request("POST", "/v1/models", blocks(LIMIT + 2 * MB), FORM | client.headers, encode_chunked=True)
        assert_error(read(connection), "file_too_large", 400, "70 MB")
        assert_nothing_left(settings, database, redis)
        assert server.open_uploads() == 0

    def test_accepts_a_file_of_exactly_the_limit(self, server: Server, client: Client) -> None:
        connection = server.connect()
        connection.request("POST", "/v1/models", blocks(LIMIT), FORM | client.headers, encode_chunked=True)
        assert_error(read(connection), "invalid_format", 400)

    def test_is_refused_by_its_content_length(
        self, server: Server, client: Client, settings: Settings, database: Database, redis: Redis
    ) -> None:
        connection = send_headers(server, FORM | client.headers, 500 * MB)
        assert_error(read(connection), "file_too_large", 400)
        assert_nothing_left(settings, database, redis)

    def test_is_refused_without_a_key_before_the_body(self, server: Server) -> None:
        assert_error(read(send_headers(server, FORM, 60 * MB)), "unauthorized", 401)

    def test_is_stopped_at_the_limit_in_other_parts(self, server: Server, client: Client) -> None:
        junk = (block.replace(b'"file"', b'"junk"') for block in blocks(LIMIT + 2 * MB))
        connection = server.connect()
        connection.request("POST", "/v1/models", junk, FORM | client.headers, encode_chunked=True)
        assert_error(read(connection), "file_too_large", 400)

    def test_leaves_nothing_behind_when_interrupted(
        self, server: Server, client: Client, settings: Settings, database: Database, redis: Redis
    ) -> None:
        connection = send_headers(server, FORM | client.headers, 10 * MB)
        connection.send(HEAD + bytes(2 * MB))
        until(lambda: server.open_uploads() == 1)
        connection.close()
        until(lambda: server.open_uploads() == 0)
        assert_nothing_left(settings, database, redis)


class TestJsonBody:
    def test_is_stopped_at_the_limit(self, server: Server, client: Client) -> None:
        connection = server.connect()
        headers = client.headers | {"Content-Type": "application/json"}
        connection.request("POST", "/v1/renders", (b" " * MB for _ in range(20)), headers, encode_chunked=True)
        assert_error(read(connection), "body_too_large", 413)

    def test_is_refused_in_the_canonical_form(self, server: Server) -> None:
        connection = send_headers(server, {"Content-Type": "application/json"}, 60 * MB)
        assert_error(read(connection), "unauthorized", 401)


class TestDownload:
    def test_sends_no_body_for_head(self, server: Server, client: Client) -> None:
        connection = server.connect()
        connection.request("POST", "/v1/models", HEAD + glb() + TAIL, FORM | client.headers)
        model_id = read(connection).json()["data"]["modelId"]
        for method, length in (("HEAD", 0), ("GET", len(glb()))):
            connection.request(method, f"/v1/models/{model_id}/file", headers=client.headers)
            response = connection.getresponse()
            assert (response.status, response.headers["content-length"]) == (200, str(len(glb())))
            assert len(response.read()) == length


def send_headers(server: Server, headers: dict[str, str], length: int) -> http.client.HTTPConnection:
    """Send only the headers of an upload."""
    connection = server.connect()
    connection.putrequest("POST", "/v1/models" if FORM.items() <= headers.items() else "/v1/renders")
    for name, value in (headers | {"Content-Length": str(length)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection

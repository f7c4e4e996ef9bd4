"""What only a real server over a real socket shows: uploads that stream, are stopped, or break off."""

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
import sys, uvicorn
from api.app import create_app
from farm.settings import Settings
uvicorn.run(create_app(Settings()), fd=int(sys.argv[1]), log_config=None)
"""


@dataclass
class Server:
    """A server process on a port of its own."""

    port: int
    process: subprocess.Popen[bytes]
    data: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def peak_memory(self) -> int:
        """The most bytes of RAM that the process ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024

    def uploads_under_way(self) -> int:
        """How many unnamed files the process holds open in its data folder."""
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
            process.kill()  # a polite end would wait for the connections that tests leave open
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
    """A form with a file of `size` bytes, made as it is sent."""
    yield HEAD
    for _ in range(size // MB):
        yield bytes(MB)
    yield TAIL


class TestUpload:
    @pytest.mark.on_both_storages
    def test_a_large_file_does_not_grow_the_process(self, server: Server, client: Client) -> None:
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

    def test_is_stopped_while_it_streams_when_it_announces_no_length(
        self, server: Server, client: Client, settings: Settings, database: Database, redis: Redis
    ) -> None:
        connection = server.connect()
        connection.request("POST", "/v1/models", blocks(LIMIT + 2 * MB), FORM | client.headers, encode_chunked=True)
        assert_error(read(connection), "file_too_large", 400, "70 MB")
        assert_nothing_left(settings, database, redis)
        assert server.uploads_under_way() == 0

    def test_a_file_of_just_the_limit_is_not_too_large(self, server: Server, client: Client) -> None:
        connection = server.connect()
        connection.request("POST", "/v1/models", blocks(LIMIT), FORM | client.headers, encode_chunked=True)
        assert_error(read(connection), "invalid_format", 400)

    def test_is_refused_by_its_announced_length_before_a_byte_of_it_is_sent(
        self, server: Server, client: Client, settings: Settings, database: Database, redis: Redis
    ) -> None:
        connection = announce(server, FORM | client.headers, 500 * MB)
        assert_error(read(connection), "file_too_large", 400)
        assert_nothing_left(settings, database, redis)

    def test_without_a_key_is_refused_before_a_byte_of_it_is_sent(self, server: Server) -> None:
        assert_error(read(announce(server, FORM, 60 * MB)), "unauthorized", 401)

    def test_endless_parts_of_other_names_are_stopped_too(self, server: Server, client: Client) -> None:
        junk = (block.replace(b'"file"', b'"junk"') for block in blocks(LIMIT + 2 * MB))
        connection = server.connect()
        connection.request("POST", "/v1/models", junk, FORM | client.headers, encode_chunked=True)
        assert_error(read(connection), "file_too_large", 400)

    def test_that_breaks_off_leaves_nothing(
        self, server: Server, client: Client, settings: Settings, database: Database, redis: Redis
    ) -> None:
        connection = announce(server, FORM | client.headers, 10 * MB)
        connection.send(HEAD + bytes(2 * MB))
        until(lambda: server.uploads_under_way() == 1)
        connection.close()
        until(lambda: server.uploads_under_way() == 0)
        assert_nothing_left(settings, database, redis)


class TestJsonBody:
    def test_that_never_ends_is_cut_off(self, server: Server, client: Client) -> None:
        connection = server.connect()
        headers = client.headers | {"Content-Type": "application/json"}
        connection.request("POST", "/v1/renders", (b" " * MB for _ in range(20)), headers, encode_chunked=True)
        assert_error(read(connection), "body_too_large", 413)

    def test_that_announces_too_much_is_still_answered_in_our_shape(self, server: Server) -> None:
        connection = announce(server, {"Content-Type": "application/json"}, 60 * MB)
        assert_error(read(connection), "unauthorized", 401)


class TestDownload:
    def test_head_over_a_socket_sends_no_body(self, server: Server, client: Client) -> None:
        connection = server.connect()
        connection.request("POST", "/v1/models", HEAD + glb() + TAIL, FORM | client.headers)
        model_id = read(connection).json()["data"]["modelId"]
        for method, length in (("HEAD", 0), ("GET", len(glb()))):
            connection.request(method, f"/v1/models/{model_id}/file", headers=client.headers)
            response = connection.getresponse()
            assert (response.status, response.headers["content-length"]) == (200, str(len(glb())))
            assert len(response.read()) == length


def announce(server: Server, headers: dict[str, str], length: int) -> http.client.HTTPConnection:
    """Send the head of an upload alone."""
    connection = server.connect()
    connection.putrequest("POST", "/v1/models" if FORM.items() <= headers.items() else "/v1/renders")
    for name, value in (headers | {"Content-Length": str(length)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection

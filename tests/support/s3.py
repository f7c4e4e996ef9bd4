"""An S3 on loopback: moto's server in a process of its own, and a proxy before it that can be set to fail."""

import contextlib
import http.client
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import boto3

SESSION = boto3.session.Session()  # one, as it caches the files of its package
KEYS = {"aws_access_key_id": "access", "aws_secret_access_key": "secret", "region_name": "us-east-1"}

# The server ends when its stdin is closed, and so with the process that started it.
SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
# Amazon's response to a request with both an Authorization header and a signature in its URL.
TWICE_SIGNED = b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a fresh S3 server while it runs."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", SERVE], **pipes) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"  # type: ignore[union-attr]
        process.kill()


class Door(ThreadingHTTPServer):
    """A proxy of the S3 server at `behind` that can be set to fail.

    `busy` is the number of next requests that get a 503; `silent` leaves requests without a response; `slow` delays
    each by this many seconds; `breaks` are numbers of bytes after which the next response bodies break off; `denied` is
    a pattern of forbidden requests, such as "DELETE /".
    """

    daemon_threads = True

    def __init__(self, behind: str, bucket: str) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.behind, self.bucket = behind, bucket
        self.busy = 0
        self.silent = False
        self.slow = 0.0
        self.breaks: list[int] = []
        self.denied: str | None = None
        self.asked: list[str] = []  # the method of each request
        self.closed = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a farm that uses this S3."""
        return {
            "s3_bucket": self.bucket,
            "s3_endpoint": self.url,
            "s3_region": KEYS["region_name"],
            "s3_access_key": KEYS["aws_access_key_id"],
            "s3_secret_key": KEYS["aws_secret_access_key"],
        }

    def client(self) -> Any:
        """A client of the S3 server itself."""
        return SESSION.client("s3", endpoint_url=self.behind, **KEYS)


class _Request(BaseHTTPRequestHandler):
    server: Door
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        door = self.server
        door.asked.append(self.command)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        door.closed.wait(door.slow)
        if door.silent:
            door.closed.wait(20)
            self.close_connection = True
        elif door.busy > 0:
            door.busy -= 1
            self.reply(503, {}, BUSY)
        elif door.denied and re.match(door.denied, f"{self.command} {self.path}"):
            self.reply(403, {}, DENIED)
        elif "X-Amz-Signature=" in self.path and "Authorization" in self.headers:
            self.reply(400, {}, TWICE_SIGNED)
        else:
            self.reply(*self.forward(body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with contextlib.closing(http.client.HTTPConnection(urlsplit(self.server.behind).netloc, timeout=20)) as behind:
            behind.request(self.command, self.path, body, dict(self.headers))
            response = behind.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, response.read()

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        breaks = self.server.breaks if self.command == "GET" else []
        keep = breaks.pop(0) if breaks else len(body)
        self.close_connection = keep < len(body)
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            if name not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # the client has hung up
            self.wfile.write(body[:keep])

    def log_message(self, *_: object) -> None:
        pass


def environment(settings: dict[str, Any]) -> dict[str, str]:
    """A door's settings as FARM_ variables."""
    return {f"FARM_{name.upper()}": str(value) for name, value in settings.items()}


@contextlib.contextmanager
def door(behind: str) -> Iterator[Door]:
    """A proxy of the server at `behind`, with an empty bucket of its own."""
    with Door(behind, f"test-{uuid.uuid4().hex}") as server:
        server.client().create_bucket(Bucket=server.bucket)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.closed.set()
        server.shutdown()

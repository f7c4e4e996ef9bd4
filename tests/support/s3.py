"""An S3 on loopback: moto's server in a process of its own, and a door before it that fails when it is told to."""

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

SESSION = boto3.session.Session()  # what it reads from its package's files it keeps
KEYS = {"aws_access_key_id": "access", "aws_secret_access_key": "secret", "region_name": "us-east-1"}

# Ends with its stdin, that is with whoever started it.
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
# What Amazon says to an Authorization header beside a signature in the address.
TWICE_SIGNED = b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a fresh S3 server while it runs."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", SERVE], **pipes) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"  # type: ignore[union-attr]
        process.kill()


class Door(ThreadingHTTPServer):
    """Passes requests on to the S3 server at `behind`, unless it is told to fail.

    `busy` is how many requests are answered with 503 from now on, `silent` whether requests are left without an answer,
    `slow` how many seconds each takes, `breaks` after how many bytes the bodies of the next answers break off, `denied`
    is a pattern of what nobody may do, such as "DELETE /".
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
        """What tells a farm to use this S3."""
        return {
            "s3_bucket": self.bucket,
            "s3_endpoint": self.url,
            "s3_region": KEYS["region_name"],
            "s3_access_key": KEYS["aws_access_key_id"],
            "s3_secret_key": KEYS["aws_secret_access_key"],
        }

    def client(self) -> Any:
        """A client of the S3 behind the door."""
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
            self.answer(503, {}, BUSY)
        elif door.denied and re.match(door.denied, f"{self.command} {self.path}"):
            self.answer(403, {}, DENIED)
        elif "X-Amz-Signature=" in self.path and "Authorization" in self.headers:
            self.answer(400, {}, TWICE_SIGNED)
        else:
            self.answer(*self.ask_behind(body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def ask_behind(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with contextlib.closing(http.client.HTTPConnection(urlsplit(self.server.behind).netloc, timeout=20)) as behind:
            behind.request(self.command, self.path, body, dict(self.headers))
            answer = behind.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        breaks = self.server.breaks if self.command == "GET" else []
        keep = breaks.pop(0) if breaks else len(body)
        self.close_connection = keep < len(body)
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            if name not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked has had enough
            self.wfile.write(body[:keep])

    def log_message(self, *_: object) -> None:
        pass


def environment(settings: dict[str, Any]) -> dict[str, str]:
    """A door's settings as FARM_ variables."""
    return {f"FARM_{name.upper()}": str(value) for name, value in settings.items()}


@contextlib.contextmanager
def door(behind: str) -> Iterator[Door]:
    """A door to the server at `behind`, with an empty bucket of its own."""
    with Door(behind, f"test-{uuid.uuid4().hex}") as server:
        server.client().create_bucket(Bucket=server.bucket)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.closed.set()
        server.shutdown()

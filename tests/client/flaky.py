"""A server that misbehaves on purpose: it serves one file and closes connections early."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Flaky(ThreadingHTTPServer):
    """Serves `content` with `etag` at every path.

    Each of `breaks` is the number of bytes after which a response is interrupted; -1 sends no response at all.
    The first `refusals` requests are answered with 429 and may be repeated at once.
    `bodies` and `keys` are the bodies of the requests and their Idempotency-Keys.
    """

    def __init__(self, content: bytes, breaks: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.etag = '"one"'
        self.breaks = breaks
        self.refusals = 0
        self.requests: list[tuple[str, str | None]] = []  # method and Range of each request
        self.bodies: list[bytes] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Flaky

    def do_GET(self) -> None:
        byte_range = self.headers.get("Range")
        self.server.requests.append((self.command, byte_range))
        self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.server.keys.append(self.headers.get("Idempotency-Key"))
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_response(429)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        if byte_range and self.headers.get("If-Range") == self.server.etag:
            start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
        body = self.server.content[start:]
        length = self.server.breaks.pop(0) if self.server.breaks else len(body)
        if length < 0:  # not even headers
            self.close_connection = True
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        self.wfile.write(body[:length])
        self.close_connection = True

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(content: bytes, *breaks: int) -> Iterator[Flaky]:
    with Flaky(content, list(breaks)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()

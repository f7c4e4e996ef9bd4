"""A server that misbehaves on purpose: it serves one file, and breaks connections off as it is told."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Flaky(ThreadingHTTPServer):
    """`content` under `etag` at every address; each of `breaks` is after how many bytes an answer breaks off."""

    def __init__(self, content: bytes, breaks: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = content
        self.etag = '"one"'
        self.breaks = breaks
        self.asked: list[tuple[str, str | None]] = []  # method and Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Flaky

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.command, wanted))
        start = 0
        if wanted and self.headers.get("If-Range") == self.server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        body = self.server.content[start:]
        keep = self.server.breaks.pop(0) if self.server.breaks else len(body)
        if keep < 0:  # not even a head
            self.close_connection = True
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        self.wfile.write(body[:keep])
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

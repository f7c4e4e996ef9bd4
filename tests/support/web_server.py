"""A real HTTP server on loopback to fetch from, with paths that behave well and badly."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.glb import glb

MODEL = glb(b"fetched")
BLOCK = bytes(64 * 1024)


class Handler(BaseHTTPRequestHandler):
    """Responds as PATHS says."""

    def do_GET(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client has hung up
            PATHS[self.path.partition("?")[0]](self)

    def log_message(self, *_: object) -> None:
        pass

    def send(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def send_raw(self, answer: bytes) -> None:
        self.wfile.write(answer)

    def send_chunked(self, blocks: Iterator[bytes]) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for block in blocks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")


def redirect(to: str, status: int = 302) -> Callable[[Handler], None]:
    return lambda handler: handler.send(b"", status, Location=to)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(BLOCK)


def slow(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


PATHS: dict[str, Callable[[Handler], None]] = {
    "/chair.glb": lambda handler: handler.send(MODEL),
    "/download": lambda handler: handler.send(MODEL, Content_Disposition='attachment; filename="bench.glb"'),
    "/noname": lambda handler: handler.send(MODEL),
    "/chair.gltf": lambda handler: handler.send(b'{"asset": {"version": "2.0"}}'),
    "/chunked.glb": lambda handler: handler.send_chunked(iter([MODEL[:10], MODEL[10:]])),
    "/page.glb": lambda handler: handler.send(b"<!doctype html><title>Sign in</title>"),
    "/host": lambda handler: handler.send(handler.headers["Host"].encode()),
    "/zipped": lambda handler: handler.send(MODEL, Content_Encoding="gzip"),
    "/missing": lambda handler: handler.send(b"no", 404),
    "/huge": lambda handler: handler.send(b"", Content_Length=str(10**12)),
    "/short": lambda handler: handler.send(b"abc", Content_Length="1000"),
    "/garbage": lambda handler: handler.send_raw(b"SECRET of the host\r\n\r\n"),
    "/bad-header": lambda handler: handler.send_raw(b"HTTP/1.1 200 OK\r\nSECRET of the host\r\n\r\n"),
    "/bad-location": redirect("http://[::SECRET/x"),
    "/bad-length": lambda handler: handler.send(b"", Content_Length="SECRET"),
    "/bad-status": lambda handler: handler.send_raw(b"HTTP/1.1 404 SECRET\r\n\r\n"),
    "/endless": endless,
    "/slow": slow,
    "/moved": redirect("/chair.glb", 301),
    "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "/private": redirect("//10.0.0.1/x.glb"),
    "/file": redirect("file:///etc/passwd"),
    "/secret": redirect("http://user:password@127.0.0.1/x.glb"),
    "/loop": redirect("/loop"),
    "/nowhere": lambda handler: handler.send(b"", 302),
    "/bad": redirect("http://[::1/x"),
    **{f"/hop{n}": redirect(f"/hop{n - 1}" if n > 1 else "/chair.glb") for n in range(1, 5)},
}


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The server's address while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()

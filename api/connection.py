"""One HTTP connection: uvicorn's protocol, with deadlines for slow clients and errors in the canonical form.

A connection without a complete head of a request costs its client nothing, so it has a deadline, and it is the first to
be closed when connections run out: half-open connections cannot keep others out.
"""

import asyncio
import socket
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from api.errors import error_response
from api.security_headers import SECURITY_HEADERS
from farm.errors import FarmError, InvalidRequest, RequestTimeout, Unavailable

log = structlog.get_logger()

STALL_SECONDS = 60.0  # over which the rate is measured at which a client reads its response
KERNEL_BYTES = 128 * 1024  # of a response that the kernel takes before it can send them; its default are megabytes
MAX_HEAD_BYTES = 16 * 1024
MAX_SMALL_CHUNKS = 1000
MIN_CHUNK_BYTES = 256  # on average, beyond the first MAX_SMALL_CHUNKS
MAX_REST_BYTES = 256 * 1024 * 1024  # of a body after its response, so that clients that only send find the response


class InvalidHttp(InvalidRequest):
    status, default = 400, "This is not a valid HTTP/1.1 request, or its body comes in too many small chunks"


class Parser(h11.Connection):
    """h11's parser, which refuses a body in tiny chunks, as it takes as long for a tiny chunk as for a large one."""

    _chunks, _bytes = 0, 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks, self._bytes = 0, 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._bytes += len(event.data)
            if self._chunks > MAX_SMALL_CHUNKS + self._bytes // MIN_CHUNK_BYTES:
                raise h11.RemoteProtocolError(f"the chunks of the body have less than {MIN_CHUNK_BYTES} bytes")
        return event


class Phase(Enum):
    """What a connection waits for: the head of a request, its response, or the rest of a body that has a response."""

    HEAD = "head"
    RESPONSE = "response"
    REST = "rest"


@dataclass
class Limits:
    """Limits of all connections of a server, and those that wait for a head, in the order in which they began to."""

    max_connections: int
    head_seconds: float
    body_seconds: float
    bytes_per_second: int
    waiting: dict["Connection", None] = field(default_factory=dict)


class Connection(H11Protocol):
    """See the module. Every event ends with `_watch`, which sets the deadline for what comes next."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = Parser(h11.SERVER, MAX_HEAD_BYTES)
        self.limits = limits
        self._phase: Phase | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._rest_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # So that pause_writing reports every client that does not read, and the kernel does not hide what it reads.
        transport.set_write_buffer_limits(high=0)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_BYTES)
        if len(self.connections) > self.limits.max_connections:
            self._keep_within_limit()
        self._watch()

    def _keep_within_limit(self) -> None:
        if oldest := next(iter(self.limits.waiting), None):
            oldest.abort("limit")
        else:
            self._respond(Unavailable("The API has no free connection: try again shortly"))

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.REST:
            self._rest_bytes += len(data)
            if self._rest_bytes > MAX_REST_BYTES:
                self.abort("rest")
                return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch()
        self._cancel_stall()

    def _watch(self) -> None:
        phase = self._current_phase()
        if phase is self._phase:
            return
        self._phase = phase
        self.limits.waiting.pop(self, None)
        if self._deadline:
            self._deadline.cancel()
        if phase is Phase.HEAD:
            self.limits.waiting[self] = None
            self._await_head()
        elif phase is Phase.REST:
            self.limits.waiting[self] = None  # its client has its response
            self._rest_bytes = 0
            self._deadline = self.loop.call_later(self.limits.body_seconds, self._check_rest, self.loop.time())

    def _current_phase(self) -> Phase | None:
        """None for a connection that is being closed."""
        if self.transport.is_closing():
            return None
        if self.cycle is not None and not self.cycle.response_complete:
            return Phase.RESPONSE
        return Phase.REST if self.conn.their_state is h11.SEND_BODY else Phase.HEAD

    def _await_head(self) -> None:
        unsent = self.transport.get_write_buffer_size()  # of the response before, which its client still reads
        seconds = STALL_SECONDS if unsent else self.limits.head_seconds
        self._deadline = self.loop.call_later(seconds, self._end_wait_for_head, unsent)

    def _end_wait_for_head(self, unsent: int) -> None:
        started, _ = self.conn.trailing_data
        left = self.transport.get_write_buffer_size()
        if unsent and (not left or unsent - left >= STALL_SECONDS * self.limits.bytes_per_second):
            self._await_head()
        elif started:
            self._respond(RequestTimeout(f"The request's head took longer than {self.limits.head_seconds:g} seconds"))
            self._watch()
        else:
            self.abort("head")

    def _check_rest(self, began: float) -> None:
        """Close the connection unless the body has kept the minimum rate since the response."""
        allowed = self.limits.body_seconds + self._rest_bytes / self.limits.bytes_per_second
        left = began + allowed - self.loop.time()
        if left <= 0:
            self.abort("rest")
        else:
            self._deadline = self.loop.call_later(left, self._check_rest, began)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_stall()

    def _watch_reader(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(STALL_SECONDS, self._check_reader, unsent)

    def _check_reader(self, unsent: int) -> None:
        """Close the connection unless the client has read at the minimum rate since `unsent` bytes were left."""
        if unsent - self.transport.get_write_buffer_size() < STALL_SECONDS * self.limits.bytes_per_second:
            self.abort("stall")
        else:
            self._watch_reader()

    def _cancel_stall(self) -> None:
        if self._stall:
            self._stall.cancel()

    def abort(self, reason: str) -> None:
        """Close the connection at once, whatever is unsent."""
        log.debug("connection_closed", reason=reason)
        self.connections.discard(self)  # connection_lost follows later
        self.transport.abort()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        self._respond(InvalidHttp())

    def _respond(self, error: FarmError) -> None:
        """Send an error that belongs to no request that the application knows, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = error_response(error)
            response.headers.update({**SECURITY_HEADERS, "Connection": "close"})
            for event in (
                h11.Response(
                    status_code=error.status, headers=response.raw_headers, reason=STATUS_PHRASES[error.status]
                ),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

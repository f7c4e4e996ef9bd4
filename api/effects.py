"""The effect of a write: in one transaction, with a key that is still valid, and once for each Idempotency-Key.

draft-ietf-httpapi-idempotency-key-header defines the header. Only the answer of a request that succeeded is kept: one
that failed had no effect, and may be repeated with the same key.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request, Response
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api.envelope import Data
from api.multipart import Upload
from farm.db import answers
from farm.db.session import DATABASE_DOWN, Database
from farm.errors import IdempotencyInFlight, InvalidRequest

T = TypeVar("T")

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 255
KEY = re.compile(rf'"[ -!#-~]{{1,{MAX_KEY_LENGTH}}}"|[!#-~]{{1,{MAX_KEY_LENGTH}}}')
RENEWAL_SECONDS = answers.LEASE_SECONDS / 3

PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": (
        "A unique text of 1 to 255 ASCII characters, such as a UUID, for one logical call: a repetition with the same "
        "key and body within 24 hours has no other effect and gets the first answer"
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH + 2, "pattern": f"^({KEY.pattern})$"},
    "example": '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
}


class _Replay(Exception):
    """The request was answered before: the kept answer is the response."""

    def __init__(self, status: int, body: str) -> None:
        self.response = Response(body, status, media_type="application/json")


@dataclass
class Effect:
    """The effect of one `request` of an account; `route` to `exclude_none` are those of its endpoint.

    `check_again` raises when the account may no longer do it: its key was revoked, or its session has ended, or
    it is no admin any more.
    """

    database: Database
    account_id: str
    check_again: Callable[[Session], None]
    idempotency_key: str | None
    route: str
    status: int
    exclude_none: bool
    request: Request
    _claim: str | None = field(default=None, init=False)
    _is_answered: bool = field(default=False, init=False)
    _renewal: asyncio.Task[None] | None = field(default=None, init=False)

    async def begin(self, content: bytes | Upload) -> None:
        """Claim the request's Idempotency-Key, if it has one, for this content.

        Raises IdempotencyMismatch or IdempotencyInFlight, and what `transaction` raises.
        """
        if self.idempotency_key is not None:
            await run_in_threadpool(self._begin, self.idempotency_key, _fingerprint(content))
            self._renewal = asyncio.create_task(self._renew())

    async def abandoned(self) -> None:
        """Return when the client has closed the connection. Its body must have been received."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A write transaction. Raises Unauthorized, TokenExpired or Forbidden if the key or account is no longer valid.

        The key was valid before the body came; since then minutes may have passed.
        """
        with self.database.write() as db:
            self.check_again(db)
            yield db

    def answered(self, db: Session, data: T) -> T:
        """`data`, which is kept as the answer to the request's Idempotency-Key when the transaction is committed."""
        if self._claim:
            body = Data(data=data).model_dump_json(by_alias=True, exclude_none=self.exclude_none)
            answers.complete(db, self._claim, self.status, body)
            self._is_answered = True
        return data

    async def once(self, handle: Callable[[], Awaitable[Response]]) -> Response:
        """The response of `handle`, or the one that an earlier request with the same Idempotency-Key got.

        Raises the errors of `check_again` rather than what a key or account that vanished meanwhile has led to.
        """
        try:
            response = await handle()
            if response.status_code >= 400:  # a page about an error: other errors are raised
                await run_in_threadpool(self._check_again)
            if self._claim and not self._is_answered:  # a call without an effect, such as a quote
                await run_in_threadpool(self._keep, self._claim, response)
            return response
        except _Replay as replay:
            return replay.response
        except BaseException as error:
            if self._claim:
                with suppress(*DATABASE_DOWN):  # the lease ends by itself
                    await run_in_threadpool(self._release, self._claim)
            if isinstance(error, Exception):
                await run_in_threadpool(self._check_again)
            raise
        finally:
            if self._renewal:
                self._renewal.cancel()

    def _check_again(self) -> None:
        with suppress(*DATABASE_DOWN), self.database.read() as db:
            self.check_again(db)

    def _begin(self, key: str, fingerprint: str) -> None:
        try:
            with self.transaction() as db:
                found = answers.claim(db, self.account_id, self.route, key, fingerprint)
        except IntegrityError as error:
            raise IdempotencyInFlight from error
        if found.status is not None:
            raise _Replay(found.status, found.body or "")
        self._claim = found.id

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            with suppress(*DATABASE_DOWN):
                await run_in_threadpool(self._renew_once)

    def _renew_once(self) -> None:
        with self.database.write() as db:
            answers.renew(db, self._claim or "")

    def _keep(self, claim: str, response: Response) -> None:
        with self.database.write() as db:
            answers.complete(db, claim, response.status_code, bytes(response.body).decode())

    def _release(self, claim: str) -> None:
        with self.database.write() as db:
            answers.release(db, claim)


def read_header(request: Request) -> str | None:
    """The request's Idempotency-Key: a quoted string as in the draft, or, as many APIs accept it, without the quotes.

    Raises InvalidRequest.
    """
    texts = request.headers.getlist(HEADER)
    if not texts:
        return None
    if len(texts) > 1:
        raise InvalidRequest(f"Send the header {HEADER} only once")
    [text] = texts
    if not KEY.fullmatch(text):
        raise InvalidRequest(
            f"{HEADER} must have 1 to {MAX_KEY_LENGTH} printable ASCII characters, and no quotes within"
        )
    return text.strip('"')


def effect_of(request: Request) -> Effect:
    return cast(Effect, request.state.effect)


async def _effect(request: Request) -> Effect:  # async, because FastAPI runs other functions in a thread
    return effect_of(request)


EffectDep = Annotated[Effect, Depends(_effect)]


def _fingerprint(content: bytes | Upload) -> str:
    # A form is identified by its file's hash and its fields: its bytes differ with each boundary.
    if isinstance(content, Upload):
        content = json.dumps([content.name, content.sha256, content.fields], sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()

"""Rate limits of writes and of attempts to log in: token buckets in Redis."""

import hashlib
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from farm.errors import RateLimited, TooManyLogIns, Unavailable
from farm.settings import Settings

log = structlog.get_logger()

WINDOW_SECONDS = 60  # an empty bucket is full again after this time
LOG_IN_WINDOW_SECONDS = 15 * 60
MAX_LOG_INS_PER_ACCOUNT = 10  # attempts within the window
MAX_LOG_INS_PER_ADDRESS = 60  # more, as an office may share one
TIMEOUT_SECONDS = 1.0  # a request does not wait longer for Redis
OUTAGE_SECONDS = 5.0  # after a failure Redis is not asked again for this time
PREFIX = "rate_limit:"  # of the buckets' keys in Redis

# A bucket is stored as the time at which it will be full (the generic cell rate algorithm): one number, which expires
# by itself. A token is taken from all buckets or from none. Redis' own clock, so that all API processes agree.
TAKE = """
local clock = redis.call('TIME')
local now, window = clock[1] + clock[2] / 1e6, tonumber(ARGV[#KEYS + 1])
local before, after, wait = {}, {}, 0
for i, key in ipairs(KEYS) do
  before[i] = math.max(0, tonumber(redis.call('GET', key) or now) - now)
  after[i] = before[i] + window / ARGV[i]
  wait = math.max(wait, after[i] - window)
end
local taken = wait < 0.001
local answer = {tostring(taken and 0 or wait)}
for i, key in ipairs(KEYS) do
  if taken then
    redis.call('SET', key, string.format('%.6f', now + after[i]), 'PX', math.ceil(after[i] * 1000))
  end
  answer[i + 1] = tostring(taken and after[i] or before[i])
end
return answer
"""


def _header(description: str, example: int) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "integer", "minimum": 0}, "example": example}


# The fields of draft-ietf-httpapi-ratelimit-headers-06, which most clients know, for OpenAPI.
HEADERS = {
    "RateLimit-Limit": _header("Maximum number of writes in a minute, of the key or of the account", 600),
    "RateLimit-Remaining": _header("Number of further writes that would be accepted now", 599),
    "RateLimit-Reset": _header(
        "Seconds until the limit is fully available again; after a 429, until the next write", 1
    ),
}


@dataclass(frozen=True)
class WriteLimit:
    """Of the bucket with the fewest tokens: its size, the tokens left, and the seconds until it is full again."""

    limit: int
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        values = (self.limit, self.remaining, self.reset_seconds)
        return {name: str(value) for name, value in zip(HEADERS, values, strict=True)}


class RateLimiter:
    """Counts writes and attempts to log in. While Redis is down, no write is refused, and no password is tried."""

    def __init__(self, settings: Settings) -> None:
        # One retry, for a connection that Redis closed by restarting.
        self._redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
        self._script = self._redis.register_script(TAKE)
        self._limits = (settings.key_writes_per_minute, settings.account_writes_per_minute)
        self._lock = threading.Lock()
        self._down = False
        self._ask_again_at = 0.0

    def close(self) -> None:
        self._redis.close()

    def take(self, account_id: str, source: str) -> WriteLimit | None:
        """Take a token for a write; None while Redis is down. Raises RateLimited.

        `source` is the account's key or session, which has a bucket of its own.
        """
        taken = self._take([source, f"account:{account_id}"], self._limits, WINDOW_SECONDS)
        if taken is None:
            return None
        wait, *busy = taken
        write_limit = min(map(_quota, self._limits, busy), key=lambda each: each.remaining)
        if wait:
            raise RateLimited(write_limit.limit, math.ceil(wait))
        return write_limit

    def take_log_in(self, email: str, address: str) -> None:
        """Take a token for one password. Raises TooManyLogIns; Unavailable while Redis is down."""
        account = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        limits = (MAX_LOG_INS_PER_ACCOUNT, MAX_LOG_INS_PER_ADDRESS)
        taken = self._take([f"log_in:{account}", f"log_in_from:{address}"], limits, LOG_IN_WINDOW_SECONDS)
        if taken is None:
            raise Unavailable("The farm's Redis is down, and without it no password is tried: try again shortly")
        if taken[0]:
            raise TooManyLogIns(MAX_LOG_INS_PER_ACCOUNT, math.ceil(taken[0]))

    def _take(self, buckets: Sequence[str], limits: Sequence[int], window_seconds: int) -> list[float] | None:
        """Take a token from each bucket, or none: the seconds to wait, and those until each is full again.

        None while Redis is down.
        """
        if self._down and time.monotonic() < self._ask_again_at:
            return None
        try:
            keys = [PREFIX + bucket for bucket in buckets]
            answer = list(map(float, self._script(keys=keys, args=[*limits, window_seconds])))
        except RedisError as error:
            self._note_outage(error)
            return None
        self._down = False
        return answer

    def _note_outage(self, error: RedisError) -> None:
        with self._lock:
            self._ask_again_at = time.monotonic() + OUTAGE_SECONDS
            if not self._down:
                log.warning("rate_limits_off", error=str(error))
            self._down = True


def _quota(limit: int, busy_seconds: float) -> WriteLimit:
    return WriteLimit(limit, math.floor(limit * (1 - busy_seconds / WINDOW_SECONDS) + 0.001), math.ceil(busy_seconds))

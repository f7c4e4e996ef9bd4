"""Metrics for Prometheus, read from the database and from Redis on every request.

This process holds no state of them, so that all API processes of a machine report the same values.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis, RedisError
from sqlalchemy.orm import Session

from farm import __version__
from farm.db import chunks, clock, counters, nodes, statistics
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.counters import Histogram, Labels
from farm.db.session import Database
from farm.nodes import registry
from farm.scheduling.doorbell import QUEUE_NAMES, queue
from farm.tiers import DATASET_TIERS, TIERS

CHUNK_GROUPS = [("finish", FINISHING), ("draw", PREVIEW), ("draw", DRAWING)]
GROUP_LABELS = [(kind, QUEUE_NAMES[priority]) for kind, priority in CHUNK_GROUPS]
STORED_BYTES_KEY, STORED_BYTES_TTL_SECONDS = "plinth:stored-bytes", 60  # cached in Redis, as the query is expensive

# Every gauge: its meaning and its labels. Counters and histograms are in farm.db.counters.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "plinth_info": ("Always 1", ("version",)),
    "plinth_chunks_waiting": ("Chunks that wait for a worker", ("kind", "queue")),
    "plinth_chunks_running": ("Chunks that a worker holds", ("kind", "queue")),
    "plinth_oldest_waiting_seconds": ("Age of the oldest waiting chunk; 0 when none waits", ("kind", "queue")),
    "plinth_chunks_overdue": ("Chunks whose lease expired over a minute ago: no reaper runs", ()),
    "plinth_nodes": ("Nodes by state, as in `farm nodes list`", ("state",)),
    "plinth_clock_offset_seconds": ("Seconds that a node's clock is ahead of the database's", ("node",)),
    "plinth_frame_seconds": ("Seconds per frame over the latest chunks, by which chunks are sized", ("tier",)),
    "plinth_credits_left": ("Credits that all accounts together can spend", ()),
    "plinth_stored_bytes": ("Bytes of stored files, at most a minute old", ("what",)),
    "plinth_data_free_bytes": ("Bytes free on the disk of the data folder of the API's machine", ()),
    "plinth_redis_up": ("1 when Redis responds", ()),
    "plinth_wake_ups": ("Wake-ups in Redis that no worker has received yet", ("queue",)),
}


def text(database: Database, redis: Redis, data: Path) -> bytes:
    """All metrics in Prometheus' text format, version 0.0.4. `data` is the farm's data folder."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FarmCollector(database, redis, data))
    return generate_latest(registry)


class FarmCollector(Collector):
    """Queries the database and Redis on every collection. Raises SQLAlchemyError when the database is down."""

    def __init__(self, database: Database, redis: Redis, data: Path) -> None:
        self.database, self.redis, self.data = database, redis, data

    def collect(self) -> Iterable[Metric]:
        yield _gauge("plinth_info", [([__version__], 1)])
        with self.database.read() as db:
            yield from _waiting(db)
            yield _gauge("plinth_chunks_overdue", [([], statistics.overdue_chunks(db))])
            at, rows = clock.now(db), nodes.every(db)
            states = Counter(registry.state(node, chunk, at) for node, chunk in rows)
            yield _gauge("plinth_nodes", (([state], states[state]) for state in get_args(registry.State)))
            yield _gauge("plinth_clock_offset_seconds", (([node.name], node.clock_offset) for node, _ in rows))
            seconds = (([tier], chunks.seconds_per_frame(db, tier)) for tier in (*TIERS, *DATASET_TIERS))
            yield _gauge("plinth_frame_seconds", ((tier, value) for tier, value in seconds if value))
            yield _gauge("plinth_credits_left", [([], statistics.credits_left(db))])
            yield _gauge("plinth_stored_bytes", (([kind], size) for kind, size in stored_bytes(db, self.redis).items()))
            yield from _counted(db)
        yield _gauge("plinth_data_free_bytes", [([], shutil.disk_usage(self.data).free)])
        yield from self._wake_ups()

    def _wake_ups(self) -> Iterator[Metric]:
        try:
            pending = [([name], queue(priority, self.redis).count) for priority, name in QUEUE_NAMES.items()]
        except RedisError:
            yield _gauge("plinth_redis_up", [([], 0)])
            return
        yield _gauge("plinth_redis_up", [([], 1)])
        yield _gauge("plinth_wake_ups", pending)


def stored_bytes(db: Session, redis: Redis) -> dict[str, int]:
    """Bytes of stored files by kind, at most a minute old: cached for all API processes."""
    try:
        cached = redis.get(STORED_BYTES_KEY)
        if isinstance(cached, bytes):
            return dict(json.loads(cached))
        found = statistics.stored_bytes(db)
        redis.set(STORED_BYTES_KEY, json.dumps(found), ex=STORED_BYTES_TTL_SECONDS)
        return found
    except RedisError:
        return statistics.stored_bytes(db)


def _gauge(name: str, values: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """A gauge's values, each with its label values."""
    meaning, labels = GAUGES[name]
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for where, value in values:
        family.add_metric(where, value)
    return family


def _waiting(db: Session) -> Iterator[Metric]:
    """Empty groups of chunks are reported too: an alert cannot fire on a series that does not exist."""
    groups = {(group.state, group.kind, group.priority): group for group in statistics.unfinished_chunks(db)}
    for name, state in (("plinth_chunks_waiting", "queued"), ("plinth_chunks_running", "running")):
        numbers = (found.number if (found := groups.get((state, *group))) else 0 for group in CHUNK_GROUPS)
        yield _gauge(name, zip(GROUP_LABELS, numbers, strict=True))
    oldest = (groups.get(("queued", *group)) for group in CHUNK_GROUPS)
    at = clock.now(db)
    ages = (max((at - group.oldest).total_seconds(), 0) if group else 0 for group in oldest)
    yield _gauge("plinth_oldest_waiting_seconds", zip(GROUP_LABELS, ages, strict=True))


def _counted(db: Session) -> Iterator[Metric]:
    for counter in counters.COUNTERS:
        yield _counter(counter, counter.totals(db))
    for histogram in counters.HISTOGRAMS:
        yield _histogram(histogram, histogram.buckets(db), histogram.sums(db))


def _counter(counter: counters.Counter, totals: dict[Labels, float]) -> Metric:
    family = CounterMetricFamily(counter.name, counter.meaning, labels=counter.labels)
    for labels, total in totals.items():
        family.add_metric(labels, total)
    return family


def _histogram(histogram: Histogram, buckets: dict[Labels, dict[str, float]], sums: dict[Labels, float]) -> Metric:
    """Prometheus expects cumulative buckets: for every bound the number of values that are at most as large."""
    family = HistogramMetricFamily(histogram.name, histogram.meaning, labels=histogram.labels)
    for labels, numbers in sorted(buckets.items()):
        cumulative = accumulate(numbers.get(bound, 0) for bound in histogram.bound_names)
        bounds = list(zip(histogram.bound_names, cumulative, strict=True))
        family.add_metric(labels, buckets=bounds, sum_value=sums.get(labels, 0))
    return family

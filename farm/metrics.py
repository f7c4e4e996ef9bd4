"""What Prometheus reads: taken from the database and from Redis at the moment of asking.

Nothing is kept in this process, so that whichever of several API processes is asked gives the same answer.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis, RedisError
from sqlalchemy.orm import Session

from farm import __version__
from farm.db import chunks, counters, nodes, statistics
from farm.db.chunks import DRAWING, URGENT
from farm.db.counters import Histogram
from farm.db.session import Database
from farm.db.tables import now
from farm.nodes import registry
from farm.scheduling.doorbell import NAMES, queue
from farm.tiers import DATASET_TIERS, TIERS

LOTS = [("draw", URGENT), ("draw", DRAWING), ("finish", URGENT)]
NAMES_OF_LOTS = [(kind, NAMES[priority]) for kind, priority in LOTS]
SELDOM = 60  # seconds that an answer is good for which costs more to find; shared through Redis
STORED = "plinth:stored-bytes"

# Every gauge: its meaning and its labels. The counters are in farm.db.counters.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "plinth_info": ("Always 1", ("version",)),
    "plinth_chunks_waiting": ("Chunks that wait", ("kind", "queue")),
    "plinth_chunks_running": ("Chunks that are worked on", ("kind", "queue")),
    "plinth_oldest_waiting_seconds": ("Age of the oldest chunk that waits; 0 when none does", ("kind", "queue")),
    "plinth_chunks_overdue": ("Chunks whose node fell silent over a minute ago: no reaper runs", ()),
    "plinth_nodes": ("Nodes, by what `farm nodes list` calls their state", ("state",)),
    "plinth_frame_seconds": ("Seconds a frame over the last chunks drawn, by which chunks are sized", ("tier",)),
    "plinth_credits_left": ("Credits that all accounts together can spend", ()),
    "plinth_stored_bytes": ("Bytes of stored files, to the minute", ("what",)),
    "plinth_redis_up": ("1 when Redis answers", ()),
    "plinth_rings": ("Rings in Redis that no worker has heard yet", ("queue",)),
}


def text(database: Database, redis: Redis) -> bytes:
    """All metrics in Prometheus' text format, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Everything(database, redis))
    return generate_latest(registry)


class Everything(Collector):
    """Asks the database and Redis when it is asked. Raises SQLAlchemyError when the database is down."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self.database, self.redis = database, redis

    def collect(self) -> Iterable[Metric]:
        yield _gauge("plinth_info", [([__version__], 1)])
        with self.database.read() as db:
            yield from _waiting(db)
            yield _gauge("plinth_chunks_overdue", [([], statistics.overdue(db))])
            states = Counter(registry.state(node, chunk) for node, chunk in nodes.every(db))
            yield _gauge("plinth_nodes", (([state], states[state]) for state in get_args(registry.State)))
            lately = (([tier], chunks.seconds_a_frame(db, tier)) for tier in (*TIERS, *DATASET_TIERS))
            yield _gauge("plinth_frame_seconds", ((tier, took) for tier, took in lately if took))
            yield _gauge("plinth_credits_left", [([], statistics.credits_left(db))])
            yield _gauge("plinth_stored_bytes", (([what], size) for what, size in self._stored(db).items()))
            yield from _counted(db)
        yield from self._rings()

    def _stored(self, db: Session) -> dict[str, int]:
        """The bytes stored, as found by whoever asked within the last minute."""
        try:
            known = self.redis.get(STORED)
            if isinstance(known, bytes):
                return dict(json.loads(known))
            found = statistics.stored_bytes(db)
            self.redis.set(STORED, json.dumps(found), ex=SELDOM)
            return found
        except RedisError:
            return statistics.stored_bytes(db)

    def _rings(self) -> Iterator[Metric]:
        try:
            rings = [([name], queue(name, self.redis).count) for name in NAMES.values()]
        except RedisError:
            yield _gauge("plinth_redis_up", [([], 0)])
            return
        yield _gauge("plinth_redis_up", [([], 1)])
        yield _gauge("plinth_rings", rings)


def _gauge(name: str, values: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """A gauge's values, each with those of its labels."""
    meaning, labels = GAUGES[name]
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for where, value in values:
        family.add_metric(where, value)
    return family


def _waiting(db: Session) -> Iterator[Metric]:
    """Also of the lots that are empty: a series that is not there raises no alarm."""
    lots = {(lot.state, lot.kind, lot.priority): lot for lot in statistics.queue(db)}
    moment = now()
    for name, state in (("plinth_chunks_waiting", "queued"), ("plinth_chunks_running", "running")):
        numbers = (found.number if (found := lots.get((state, *lot))) else 0 for lot in LOTS)
        yield _gauge(name, zip(NAMES_OF_LOTS, numbers, strict=True))
    waiting = (lots.get(("queued", *lot)) for lot in LOTS)
    ages = (max((moment - lot.oldest).total_seconds(), 0) if lot else 0 for lot in waiting)
    yield _gauge("plinth_oldest_waiting_seconds", zip(NAMES_OF_LOTS, ages, strict=True))


def _counted(db: Session) -> Iterator[Metric]:
    totals = counters.totals(db)
    for counter in counters.EVERY:
        found = totals.get(counter.name, {})
        if isinstance(counter, Histogram):
            yield _histogram(counter, found, totals.get(counter.sum_name, {}))
        else:
            yield _counter(counter, found)


def _counter(counter: counters.Counter, found: dict[tuple[str, ...], float]) -> Metric:
    family = CounterMetricFamily(counter.name, counter.meaning, labels=counter.labels)
    for where, total in found.items():
        family.add_metric(where, total)
    return family


def _histogram(histogram: Histogram, found: dict[tuple[str, ...], float], sums: dict[tuple[str, ...], float]) -> Metric:
    """Prometheus wants for every bound how many values are at most so large, and the sum of all."""
    family = HistogramMetricFamily(histogram.name, histogram.meaning, labels=histogram.labels)
    for where in sorted({labels[:-1] for labels in found}):
        numbers = accumulate(found.get((*where, bound), 0) for bound in histogram.bound_names)
        family.add_metric(
            where,
            buckets=list(zip(histogram.bound_names, numbers, strict=True)),
            sum_value=sum(sums.get((*where, bound), 0) for bound in histogram.bound_names),
        )
    return family

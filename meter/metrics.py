"""The metrics of a meter worker, and the endpoint from which Prometheus scrapes them."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf
from threading import Lock
from typing import Final, get_args

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import HistogramMetricFamily

from schemas.broker_answers import ANSWERS
from schemas.ledger import LotKind
from schemas.listening import listen
from schemas.metered import Kind, State
from schemas.rejection_codes import REJECTION_CODES
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS

FIRST_PORT: Final = 9100
"""Where the search for a free port begins if METRICS_PORT is 0."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_BYTES = tuple(float(4**exponent) for exponent in range(5, 16))
_LATENCY = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds in seconds, dense around 0.25: the target is that 99 of 100 debits come within 250 ms."""
_OUTCOMES = ("conversation", "occurrence", "duplicate", "conflict", "dead_letter", "tick")
"""The outcomes of a chat event, as engines name them."""
_RECORDS = (1, 10, 50, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


class Latency:
    """A histogram that adds many observations in one step.

    The client library's own histogram takes a lock and compares all bounds for each observation. `buckets` are upper
    bounds in seconds, ascending.
    """

    def __init__(self, name: str, documentation: str, buckets: Sequence[float]) -> None:
        self._name, self._documentation, self._bounds = name, documentation, [*buckets, inf]
        self._counts = [0] * len(self._bounds)
        self._sum_s = 0.0
        self._lock = Lock()
        REGISTRY.register(self)

    def observe(self, seconds: Iterable[float]) -> None:
        """Count each duration in the first bucket that it fits. May be called from any thread."""
        with self._lock:
            for each in seconds:
                self._counts[bisect_left(self._bounds, each)] += 1
                self._sum_s += each

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram for a scrape: for each bound, the number of observations up to it."""
        with self._lock:
            counts, sum_s = list(accumulate(self._counts)), self._sum_s
        names = ["+Inf" if bound == inf else str(float(bound)) for bound in self._bounds]
        family = HistogramMetricFamily(self._name, self._documentation)
        family.add_metric([], list(zip(names, counts, strict=True)), sum_s)
        yield family


EVENTS = Counter("meter_events_total", "Chat events read, by outcome", ["outcome"])
BATCH_RECORDS = Histogram("meter_batch_records", "Records in a fetched batch", ["topic"], buckets=_RECORDS)
MOVED = Counter("meter_moved_total", "Misplaced records written again to their workspace's partition", ["topic"])
METERED = Counter("meter_metered_total", "Metered updates written to the wallets, by kind", ["kind"])
DEBITS = Counter("meter_debits_total", "Ledger entries that charge a lot")
DEBITED_MICROS = Counter("meter_debited_micros_total", "Micro-dollars charged, by kind of credit", ["lot_kind"])
LEFT_OUT = Counter(
    "meter_left_out_total", "Records left out because workers ended while they processed them", ["partition"]
)
DEAD_LETTERS = Counter("meter_dead_letters_total", "Rejected records, by code of the reason", ["code"])
EVENT_TO_DEBIT = Latency(
    "meter_event_to_debit_seconds", "From an event's Kafka timestamp to its update on the ledger topic", _LATENCY
)
EVENT_TO_USED_UP = Latency(
    "meter_event_to_used_up_seconds",
    "From an event's Kafka timestamp to the update on which its workspace has no credit left",
    _LATENCY,
)
WATERMARK_DELAY = Gauge(
    "meter_watermark_delay_seconds", "How far a partition's event time is behind the clock", ["partition"]
)
POLICY_VERSION = Gauge("meter_policy_version", "The policy version in force at the place read", ["topic", "partition"])
CONSUMER_LAG = Gauge("meter_consumer_lag", "Records not yet read", ["topic", "partition"])
CHECKPOINT_SECONDS = Histogram("meter_checkpoint_seconds", "Time to write a checkpoint", buckets=_SECONDS)
CHECKPOINT_BYTES = Histogram("meter_checkpoint_bytes", "Bytes of a checkpoint", buckets=_BYTES)
RESTORE_SECONDS = Histogram("meter_restore_seconds", "Time to restore a partition's state", buckets=_SECONDS)
LIVE_INTERACTIONS = Gauge("meter_live_interactions", "Interactions in the state", ["partition"])
STORED_INTERACTIONS = Gauge("meter_stored_interactions", "Interactions in the state that are on disk", ["partition"])
KAFKA_UP = Gauge("meter_kafka_up", "1 while Kafka answers, 0 after 15 s without an answer")
KAFKA_UP.set_function(ANSWERS.is_up)
PAYMENTS = Counter("meter_payments_total", "Payments that the gateway was asked for, by outcome", ["outcome"])
KNOWN_IDS = Gauge("meter_known_ids", "Ids of accepted events in memory", ["partition"])
REFETCHES = Counter("meter_refetches_total", "Holes in the fetched offsets that were read again")

# An alert needs the value 0 before the first failure: `increase` does not count the step from no series to a value.
_LABELS: Final[tuple[tuple[Counter | Histogram, Iterable[str]], ...]] = (
    (EVENTS, _OUTCOMES),
    (BATCH_RECORDS, (CHAT_EVENTS.name, WALLET_INPUTS.name)),
    (METERED, (*get_args(State), *get_args(Kind))),
    (DEBITED_MICROS, get_args(LotKind)),
    (DEAD_LETTERS, REJECTION_CODES),
    (PAYMENTS, ("settled", "failed", "action_required", "later", "no_answer", "unreadable")),
)
for _metric, _values in _LABELS:
    for _value in _values:
        _metric.labels(_value)


def serve(host: str, port: int) -> str:
    """Serve /metrics from a thread, and return its URL. Port 0 takes the first free port from FIRST_PORT on.

    Raises PortsTakenError if no port is free, or if `host` is not an address of this machine.
    """
    return f"http://{host}:{listen(start_http_server, host, port, FIRST_PORT)}/metrics"

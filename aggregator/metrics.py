"""Metrics of the aggregator, and the port on which Prometheus reads them."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from aggregator.core.holdings import OFFSETS_HELD
from aggregator.core.reconciliation.sums import PAIRS
from aggregator.core.tables import TABLES
from schemas.broker_answers import ANSWERS
from schemas.listening import listen
from schemas.rejection_codes import FOREIGN, REJECTION_CODES
from schemas.topics import EVENT_COUNTS

FIRST_PORT: Final = 9102
"""The first port that is tried if none is set."""

_ROW_BUCKETS: Final = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
_SECOND_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LATENCY_BUCKETS: Final = (0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 5, 7.5, 10, 15, 30, 60, 300, 900, 3_600)

ROWS: Final = Counter("aggregator_rows", "Rows inserted into ClickHouse, repeats included", ["table"])
INSERT_ROWS: Final = Histogram("aggregator_insert_rows", "Rows of one insert", ["table"], buckets=_ROW_BUCKETS)
INSERT_SECONDS: Final = Histogram("aggregator_insert_seconds", "One insert", ["table"], buckets=_SECOND_BUCKETS)
INSERT_FAILURES: Final = Counter("aggregator_insert_failures", "Inserts that failed and were tried again", ["table"])
LEDGER_UPDATES: Final = Counter(
    "aggregator_ledger_updates", "Ledger updates whose rows are in ClickHouse, repeats included"
)
DEAD_LETTERS: Final = Counter("aggregator_dead_letters", "Dead letters in ClickHouse, repeats included", ["code"])
EVENT_TO_CLICKHOUSE_SECONDS: Final = Histogram(
    "aggregator_event_to_clickhouse_seconds",
    "From the Kafka timestamp of the oldest chat event of a ledger update to its rows being in ClickHouse",
    buckets=_LATENCY_BUCKETS,
)
UNREADABLE: Final = Counter(
    "aggregator_unreadable", "Records skipped because they cannot be read; no charge depends on them", ["topic"]
)
LAG: Final = Gauge(
    "aggregator_consumer_lag", "Fetchable records of a partition not in ClickHouse yet", ["topic", "partition"]
)
REFETCHES: Final = Counter(
    "aggregator_refetches", "Times a partition was read again because fetched records were dropped"
)
KAFKA_UP: Final = Gauge("aggregator_kafka_up", "1 while Kafka answers, 0 after 15 s without an answer")
CLICKHOUSE_UP: Final = Gauge("aggregator_clickhouse_up", "1 if the last insert succeeded, 0 while inserts fail")
RECONCILIATION_DIFFERENCE: Final = Gauge(
    "aggregator_reconciliation_difference", "Workspaces and partitions whose two figures differ", ["pair"]
)
RECONCILIATION_INCOMPLETE: Final = Gauge(
    "aggregator_reconciliation_incomplete", "Workspaces and partitions not judged because they were being written"
)
RECONCILIATION_TIMESTAMP: Final = Gauge(
    "aggregator_reconciliation_timestamp_seconds",
    "Start of the last completed round, or of the first one while it runs; 0 in a worker that does not reconcile",
)

KAFKA_UP.set_function(ANSWERS.is_up)

# An alert needs the value 0 before the first failure: `increase` does not count the step from no series to a value.
for _table in (*TABLES, OFFSETS_HELD):
    for _metric in (ROWS, INSERT_ROWS, INSERT_SECONDS, INSERT_FAILURES):
        _metric.labels(_table.name)
UNREADABLE.labels(EVENT_COUNTS.name)
for _code in (*REJECTION_CODES, FOREIGN):
    DEAD_LETTERS.labels(_code)


def forget_differences() -> None:
    """Show no difference, for every pair. Called at the start, and when another worker reconciles from now on."""
    for pair in PAIRS:
        RECONCILIATION_DIFFERENCE.labels(pair).set(0)


forget_differences()


def serve(host: str, port: int) -> str:
    """Serve /metrics from a thread and return the URL. Port 0 takes the first free one from FIRST_PORT on.

    Raises PortsTakenError.
    """
    return f"http://{host}:{listen(start_http_server, host, port, FIRST_PORT)}/metrics"

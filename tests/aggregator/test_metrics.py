"""What Prometheus sees."""

import socket
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from aggregator import metrics
from schemas.listening import PortsTakenError


def test_two_on_one_machine_find_two_ports() -> None:
    """Any number of workers start side by side with no configuration."""
    urls = [metrics.serve("127.0.0.1", 0), metrics.serve("127.0.0.1", 0)]
    ports = [urlsplit(url).port or 0 for url in urls]
    assert ports[0] != ports[1]
    assert all(port >= metrics.FIRST_PORT for port in ports)
    update = urlopen(urls[1]).read().decode()
    # Boards and alerts know these names.
    for name in (
        'aggregator_rows_total{table="ledger_entries"}',
        "aggregator_insert_rows_bucket",
        "aggregator_insert_seconds_bucket",
        "aggregator_event_to_clickhouse_seconds_bucket",
        "aggregator_consumer_lag",
        "aggregator_refetches_total",
        "aggregator_clickhouse_up",
    ):
        assert name in update


def test_taken_port_is_refused_in_a_sentence() -> None:
    """A port that was asked for is that port or an error."""
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortsTakenError, match=f"METRICS_PORT='{port}' cannot be used"):
            metrics.serve("127.0.0.1", port)

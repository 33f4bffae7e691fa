"""The metrics of `python -m meter notify`, and the endpoint from which Prometheus scrapes them.

They have a registry of their own: this program must not show the metrics of a meter worker, which would all be 0.
"""

from functools import partial
from typing import Final

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    start_http_server,
)

from schemas.listening import listen

FIRST_PORT: Final = 9104
"""Where the search for a free port begins if METRICS_PORT is 0."""

REGISTRY: Final = CollectorRegistry()
for _collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
    REGISTRY.register(_collector)

_LABELS: Final = ("channel", "endpoint")

SENT: Final = Counter("meter_notify_sent_total", "Mails and webhooks that were taken", _LABELS, registry=REGISTRY)
FAILED: Final = Counter(
    "meter_notify_failed_total", "Mails and webhooks that will not be tried again", _LABELS, registry=REGISTRY
)
RETRIED: Final = Counter(
    "meter_notify_retried_total", "Attempts that failed for the time being", _LABELS, registry=REGISTRY
)
REPEATED: Final = Counter(
    "meter_notify_repeated_total",
    "Mails and webhooks not sent because they were sent before",
    _LABELS,
    registry=REGISTRY,
)
STALE: Final = Counter(
    "meter_notify_stale_total",
    "Mails and webhooks not sent because their event was too old",
    _LABELS,
    registry=REGISTRY,
)
UNCERTAIN: Final = Counter(
    "meter_notify_uncertain_total",
    "Mails and webhooks sent again because a process ended during an attempt: they may come twice",
    _LABELS,
    registry=REGISTRY,
)
WAITING: Final = Gauge(
    "meter_notify_waiting", "Notices of this process's partitions that are not done", _LABELS, registry=REGISTRY
)
OLDEST: Final = Gauge(
    "meter_notify_oldest_waiting_seconds",
    "Since when the oldest notice that is not done lies on its topic; 0 if there is none",
    _LABELS,
    registry=REGISTRY,
)


def begin_at_zero(channel: str, endpoint: str) -> None:
    """Show every metric of an outlet with 0: an alert needs the value before the first failure."""
    for each in (SENT, FAILED, RETRIED, REPEATED, STALE, UNCERTAIN, WAITING, OLDEST):
        each.labels(channel, endpoint)


def serve(host: str, port: int) -> str:
    """Serve /metrics from a thread, and return its URL. Port 0 takes the first free port from FIRST_PORT on.

    Raises PortsTakenError if no port is free, or if `host` is not an address of this machine.
    """
    start = partial(start_http_server, registry=REGISTRY)
    return f"http://{host}:{listen(start, host, port, FIRST_PORT)}/metrics"

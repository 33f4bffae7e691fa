"""The metrics of a gateway, beside those of `meter/metrics.py`."""

from typing import Final, get_args

from prometheus_client import Counter, Gauge, Histogram

from schemas.refusals import RefusalCode
from schemas.rejection_codes import REJECTION_CODES

ROUTES: Final = ("events", "commands", "command", "entitlement", "stream", "openapi", "livez", "readyz", "other")
"""The routes; `other` is every address that the gateway does not have."""

_CLASSES: Final = ("2xx", "4xx", "5xx")
_KINDS: Final = ("event", "command")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS = Counter("meter_gateway_requests_total", "Requests that were answered", ["route", "status"])
SECONDS = Histogram("meter_gateway_request_seconds", "Time until an answer begins", ["route"], buckets=_SECONDS)
RECORDS = Counter("meter_gateway_records_total", "Events and commands, accepted or refused", ["kind", "outcome"])
REFUSED = Counter("meter_gateway_refused_total", "Refused events and commands, by code of the reason", ["code"])
UNAUTHENTICATED = Counter("meter_gateway_unauthenticated_total", "Requests without a key that is known")
LIMITED = Counter("meter_gateway_limited_total", "Requests beyond the rate of their key")
STREAMS = Gauge("meter_gateway_streams", "Open streams of entitlements")
SLOW_CLIENTS = Counter("meter_gateway_slow_clients_total", "Streams that were ended because the client read too slowly")
OUTCOME_BYTES = Gauge("meter_gateway_outcome_bytes", "Memory that the remembered outcomes of commands take")
UNREADABLE = Counter("meter_gateway_unreadable_total", "Records that could not be read, by topic", ["topic"])

for _route in ROUTES:
    SECONDS.labels(_route)
    for _class in _CLASSES:
        REQUESTS.labels(_route, _class)
for _kind in _KINDS:
    for _outcome in ("accepted", "refused"):
        RECORDS.labels(_kind, _outcome)
for _code in sorted({*REJECTION_CODES, *get_args(RefusalCode), "other_workspace"}):
    REFUSED.labels(_code)
for _topic in ("outcomes", "entitlements"):
    UNREADABLE.labels(_topic)


def status_class(status: int) -> str:
    """Return the class of a status as a label: 404 is `4xx`."""
    return f"{status // 100}xx"

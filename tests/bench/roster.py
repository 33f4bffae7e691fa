"""Who takes part, who cannot here and why, and how long each may run."""

import importlib.util
import shutil
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.kafka import local_kafka

RAW: Final = "raw"
METER: Final = "meter"
STREAMS: Final = "streams"


class Contender(NamedTuple):
    """One contender; `name` is its module in `contenders` and its key in the results."""

    name: str
    title: str
    why_not: Callable[[], str | None]
    """What this machine lacks to run it, if anything."""
    is_ours: bool = False


def roster() -> tuple[Contender, ...]:
    """All of them, in the order in which a round runs them: the denominator beside those that are divided by it."""
    return (
        Contender(RAW, "RAW: getmany + orjson.loads", _nothing),
        Contender(METER, "the meter, sessionizing", _nothing, is_ours=True),
        Contender("meter_both", "the meter, both stages", _nothing, is_ours=True),
        Contender("meter_spill", "the meter, three quarters on disk", _needs("rocksdict"), is_ours=True),
        Contender("faust_table", "Faust Table", _nothing),
        Contender("quix", "Quix Streams", _needs("quixstreams")),
        Contender("bytewax", "Bytewax", _needs("bytewax", "confluent_kafka")),
        Contender(STREAMS, "Kafka Streams", _needs_java),
    )


def _nothing() -> None:
    return None


def _needs(*packages: str) -> Callable[[], str | None]:
    def why_not() -> str | None:
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        return f"{', '.join(missing)} not installed" if missing else None

    return why_not


def _needs_java() -> str | None:
    if local_kafka.why_unavailable() or shutil.which("java") is None:
        return "no java"
    return None if shutil.which("mvn") else "no mvn"

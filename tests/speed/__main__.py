"""`python -m tests.speed`: microseconds an event and bytes a live conversation, by number of live keys. No Kafka.

Each key speaks as a Poisson process with a mean gap of 7.44 minutes, so that a conversation has 7.5 messages. Records
are made beforehand, a part at a time; what is measured is `take` of an engine, with all that it tells the wallets.
"""

import time
from collections.abc import Iterator
from random import Random
from statistics import fmean, median
from typing import Final

import click
import orjson
from aiokafka import ConsumerRecord

from meter.cli.progress import show_progress
from meter.core.policy import Policy
from meter.sessionizer.choose_engine import engine_by
from meter.sessionizer.engine import Engine
from meter.sessionizer.python_engine import CoreEngine
from schemas.instants import MINUTE_MS, rfc3339
from tests.packed_records import listed

MEAN_GAP_MS: Final = 7.44 * MINUTE_MS
START_MS: Final = 1_788_739_200_000
PART: Final = 10_000
BATCH: Final = 2_000
PARTITIONS: Final = 4


def parts(keys: int, events: int) -> Iterator[list[ConsumerRecord]]:
    """The feed, in order of time, a part at a time."""
    rng = Random(keys)
    at_ms = float(START_MS)
    for start in range(0, events, PART):
        part = []
        for number in range(start, min(start + PART, events)):
            at_ms += rng.expovariate(keys / MEAN_GAP_MS)
            part.append(record(number, int(at_ms), rng.randrange(keys), "user" if rng.random() < 0.5 else "bot"))
        yield part


def record(number: int, at_ms: int, key: int, actor: str) -> ConsumerRecord:
    """One event of about 300 bytes."""
    value = (
        f'{{"specversion":"1.0","id":"{number:016x}","source":"/corner-books/runtime","type":"chat.message",'
        f'"time":"{rfc3339(at_ms)}","data":{{"workspace_id":"workspace-{key % 100}","bot_id":"bot-{key % 3}",'
        f'"channel":"whatsapp","channel_user_id":"visitor-{key}","direction":"in","actor":"{actor}"}}}}'
    ).encode()
    return ConsumerRecord("chat-events", 0, number, at_ms + 50, 0, b"w", value, None, -1, len(value), ())


def resident_bytes() -> int:
    """Memory of this process that is in use."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def measure(engine: Engine, keys: int, events: int) -> str:
    """One line: what it took."""
    spent_us: list[float] = []
    raw_us: list[float] = []
    before = told = 0
    with show_progress() as shown:
        shown.phase(f"{keys:,} keys", events)
        for part in parts(keys, events):
            before = before or resident_bytes()
            started_s = time.process_time()
            for record in part:
                orjson.loads(record.value)
            raw_us.append(1e6 * (time.process_time() - started_s) / len(part))
            for at in range(0, len(part), BATCH):
                batch = part[at : at + BATCH]
                started_s = time.process_time()
                metered = engine.process(batch).metered
                packed = metered(PARTITIONS) if callable(metered) else []
                spent_us.append(1e6 * (time.process_time() - started_s) / len(batch))
                told += sum(each.records_count for each in packed) or len(listed(metered))
            list(engine.changed())
            shown.advance(len(part))
    held = resident_bytes() - before
    end_us = spent_us[-len(spent_us) // 10 :]
    return (
        f"{keys:>9,} keys: {fmean(spent_us):.3f} us an event, median {median(spent_us):.3f}, of the last tenth "
        f"{median(end_us):.3f}; {median(raw_us):.3f} for orjson.loads; "
        f"{told / events:.2f} records told an event; {engine.live:,} live, {held / max(1, engine.live):.0f} bytes each "
        f"({getattr(engine, 'held_bytes', 0) / max(1, engine.live):.0f} by its own account)"
    )


@click.command()
@click.option("--keys", type=int, multiple=True, default=(1_000, 100_000, 1_000_000), show_default=True)
@click.option("--events-a-key", type=float, help="Otherwise 300, 15 and 7.5, by number of keys.")
@click.option("--core", is_flag=True, help="The core instead of the kernel.")
def main(keys: tuple[int, ...], events_a_key: float | None, core: bool) -> None:
    """Prints a line for each number of keys."""
    make_engine = CoreEngine if core else engine_by("auto")
    for each in keys:
        a_key = events_a_key or (300 if each <= 1_000 else 15 if each <= 100_000 else 7.5)
        click.echo(measure(make_engine(Policy(), 0), each, int(each * a_key)))


if __name__ == "__main__":
    main()

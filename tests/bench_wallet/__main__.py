"""`python -m tests.bench_wallet`: inputs a second and core, over alternating rounds."""

import gc
import time
from statistics import median
from typing import NamedTuple

import click
import orjson
from aiokafka import ConsumerRecord
from rich.console import Console
from rich.progress import track

from meter.charger.charger import Charger
from meter.core.policy import Policy
from schemas.topics import LEDGER
from tests.bench_wallet.on_kafka import through_kafka
from tests.bench_wallet.plan_change import change_of_plan
from tests.bench_wallet.records import LOADS, records
from tests.packed_records import listed


class Round(NamedTuple):
    """Seconds of CPU for the inputs of one round; `debits` are the charges among what they caused."""

    inputs: int
    updates: int
    naive_s: float
    take_s: float
    checkpoint_s: float

    @property
    def rate(self) -> float:
        """Inputs a second with the checkpoints that belong to them."""
        return self.inputs / (self.take_s + self.checkpoint_s)

    @property
    def naive_rate(self) -> float:
        """Inputs a second of nothing but a JSON parser."""
        return self.inputs / self.naive_s


def in_memory(load: list[ConsumerRecord], warm: int, batch: int, checkpoint: int) -> Round:
    """Take `load` after its first `warm` inputs, in batches, with a checkpoint every `checkpoint` inputs.

    CPU time, because other processes may have the machine as well.
    """
    charger = Charger(Policy(), 0)
    for _ in charger.process(load[:warm]):
        pass
    _save(charger)
    measured = load[warm:]
    naive_s = _naive(measured)
    updates, take_s, checkpoint_s, unsaved = 0, 0.0, 0.0, 0
    for start in range(0, len(measured), batch):
        part = measured[start : start + batch]
        started_s = time.process_time()
        updates += sum(len(listed(output.records)) for output in charger.process(part) if output.topic is LEDGER)
        taken_s = time.process_time()
        take_s += taken_s - started_s
        unsaved += len(part)
        if unsaved >= checkpoint:
            _save(charger)
            checkpoint_s += time.process_time() - taken_s
            unsaved = 0
    return Round(len(measured), updates, naive_s, take_s, checkpoint_s)


def _save(charger: Charger) -> None:
    """What a checkpoint costs but for sending it."""
    size = sum(map(len, charger.changed()))
    charger.sweep(size)
    charger.mark()


def _naive(load: list[ConsumerRecord]) -> float:
    started_s = time.process_time()
    for record in load:
        orjson.loads(record.value)
    return time.process_time() - started_s


@click.command(
    help="Charges records that were made beforehand, in memory: conversations of 10,000 workspaces (many), of one "
    "(hot), of one after a thousand purchases (orders), openings and closings with safe points (mix). Prints medians "
    "in inputs a second of CPU time, checkpoints included, beside those of a JSON parser on the same records."
)
@click.option("--inputs", default=100_000, show_default=True, help="Inputs that are measured in each round.")
@click.option("--warm", default=60_000, show_default=True, help="Inputs before them, which are not.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--batch", default=20_000, show_default=True, help="Records that one fetch brings.")
@click.option("--checkpoint", default=40_000, show_default=True, help="Inputs between two checkpoints.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--plan-change",
    "conversations",
    type=click.IntRange(min=10_000),
    help="Instead, change the plan of a workspace with so many conversations, and show how long other inputs wait.",
)
@click.option("--kafka", is_flag=True, help="Through a real worker on a real Kafka instead, each on a core of its own.")
def main(
    inputs: int,
    warm: int,
    rounds: int,
    batch: int,
    checkpoint: int,
    seed: int,
    conversations: int | None,
    *,
    kafka: bool,
) -> None:
    """Measures and prints."""
    if conversations is not None:
        print(change_of_plan(conversations))
        return
    if kafka:
        through_kafka(inputs, rounds, seed)
        return
    console = Console()
    loads = {name: records(name, warm + inputs, seed) for name in LOADS}
    gc.collect()
    gc.freeze()
    gc.disable()
    found: dict[str, list[Round]] = {name: [] for name in LOADS}
    for _ in track(range(rounds), "rounds", console=console, disable=not console.is_terminal):
        for name, load in loads.items():
            found[name].append(in_memory(load, warm, batch, checkpoint))
    for name, each in found.items():
        rate, naive_rate = median(one.rate for one in each), median(one.naive_rate for one in each)
        print(
            f"{name}: {rate:,.0f} inputs/s/core, {each[0].inputs / each[0].updates:.1f} inputs an update; "
            f"orjson alone {naive_rate:,.0f}/s, ratio {rate / naive_rate:.3f}; "
            f"from {min(one.rate for one in each):,.0f} to {max(one.rate for one in each):,.0f}"
        )


if __name__ == "__main__":
    main()

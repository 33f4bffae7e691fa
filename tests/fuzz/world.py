"""A batch of damaged inputs among real ones, through the production folds, and what must have come of each.

What is expected comes from the oracle alone: its reader says what can be read, its meter what it comes to.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import Final

import msgspec
from aiokafka import ConsumerRecord

from meter.charger.charger import Charger
from meter.core.policy import Policy
from meter.kafka.records import Record
from meter.sessionizer.sessionizer import Mark, Sessionizer
from meter.stage.blocks import unpack
from meter.stage.fold import Fold, Output
from schemas.dead_letters import DeadLetter, from_record
from schemas.events import encode_tick
from schemas.topics import CHAT_EVENTS, DEAD_LETTERS, WALLET_INPUTS
from tests.fuzz.cases import BATCH, Case, case, commands, now_of, slice_of
from tests.fuzz.verdict import otherwise_metered, wrong
from tests.oracle.oracle import Result, meter
from tests.oracle.reading import Command, Event, RefusedError, read
from tests.packed_records import listed
from tests.properties.memory_log import MemoryLog, stored
from tests.properties.view import View, view
from tests.sessionizer_engines import chosen

READ_AT_ONCE: Final = 400
"""Records in one fetch: a batch's good and bad ones are in several."""

Place = tuple[str, int]
"""Topic and offset; there is one partition."""


@dataclass
class Report:
    """What became of the damaged inputs. `differences` name the input, or the batch where it is none in particular."""

    inputs: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    valid: int = 0
    metered: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.inputs += other.inputs
        self.codes += other.codes
        self.valid += other.valid
        self.metered += other.metered
        self.differences += other.differences


@dataclass(frozen=True)
class Input:
    """A record on one of the two topics. `number` is the case's, None for a real record."""

    number: int | None
    record: ConsumerRecord
    broken: bool


def run_batch(seed: int, numbers: range) -> Report:
    """One batch. Where something differs that no input can be blamed for yet, halves of it are tried until one can."""
    report = Report(inputs=len(numbers))
    name = f"seed {seed}, number {numbers.start}"
    if len(numbers) > 1:
        name += f" to {numbers.stop - 1}"
    try:
        inputs = written(seed, numbers)
        blamed = _check(report, inputs, now_of(numbers.start // BATCH), name, seed)
    except Exception as error:
        blamed = False
        report.differences.append(f"{name}: raised {error!r}{_shown(seed, numbers)}")
    if report.differences and not blamed and len(numbers) > 1:
        middle = numbers.start + len(numbers) // 2
        halves = (range(numbers.start, middle), range(middle, numbers.stop))
        narrower = [found for half in halves for found in run_batch(seed, half).differences]
        report.differences = narrower or report.differences
    return report


def _shown(seed: int, numbers: range) -> str:
    return f"\n    {case(seed, numbers.start).value!r:.2000}" if len(numbers) == 1 else ""


def written(seed: int, numbers: range) -> dict[str, list[Input]]:
    """Both topics: the commands first, then the events, the damaged ones anywhere among them."""
    batch = numbers.start // BATCH
    rng = Random(f"{seed}/{batch}/places")
    mixed: dict[str, list[tuple[int | None, Case]]] = {
        WALLET_INPUTS.name: [(None, Case(WALLET_INPUTS.name, b"real", value)) for value in commands()],
        CHAT_EVENTS.name: [(None, Case(CHAT_EVENTS.name, b"real", value)) for value in slice_of(batch)],
    }
    for number in numbers:
        made = case(seed, number)
        on_topic = mixed[made.topic]
        on_topic.insert(rng.randrange(len(on_topic) + 1), (number, made))
    return {
        topic: [
            Input(number, stored(topic, 0, offset, Record(made.key, made.value), now_of(batch)), made.broken)
            for offset, (number, made) in enumerate(records)
        ]
        for topic, records in mixed.items()
    }


def _check(report: Report, inputs: dict[str, list[Input]], now_ms: int, name: str, seed: int) -> bool:
    """Adds to the report; whether its differences name the inputs that they are due to."""
    everything = inputs[WALLET_INPUTS.name] + inputs[CHAT_EVENTS.name]
    refused, result = judged(everything, now_ms)
    folded = Folded(inputs, now_ms, result.end)
    letters = folded.letters()
    for index, each in enumerate(everything):
        found = letters.pop(_place(each), [])
        label = name if each.number is None else f"seed {seed}, number {each.number}"
        report.differences += [
            f"{label}, {each.record.topic}: {why}\n    {each.record.value!r:.2000}"
            for why in wrong(each.record, found, index in refused)
        ]
        if each.number is not None:
            report.codes.update(letter.code for letter in found[:1])
            report.valid += not found
    report.differences += [f"{name}: a dead letter of nothing at {place}" for place in letters]
    report.metered += len(result.events)
    if report.differences:
        return True  # What follows differs as well, then.
    seen = folded.view()
    report.differences += [f"{name}: {why}" for why in otherwise_metered(seen, result)]
    places = folded.letters().keys()
    accepted = {topic: [each for each in some if _place(each) not in places] for topic, some in inputs.items()}
    alone = Folded(accepted, now_ms, result.end)
    if (alone.view(), alone.state) != (seen, folded.state):
        report.differences.append(f"{name}: ledger or state is another without the refused records")
    return False


def _place(each: Input) -> Place:
    return each.record.topic, each.record.offset


def judged(inputs: list[Input], now_ms: int) -> tuple[set[int], Result]:
    """The indexes of those that must be refused, and what the others come to."""
    readable = [index for index, each in enumerate(inputs) if not each.broken and _is_readable(each.record)]
    result = meter([inputs[index].record.value for index in readable], now_ms)
    late = {readable[letter.line] for letter in result.dead_letters}
    return set(range(len(inputs))) - set(readable) | late, result


def _is_readable(record: ConsumerRecord) -> bool:
    wanted = Event if record.topic == CHAT_EVENTS.name else Command
    try:
        return record.value is not None and isinstance(read(0, record.value), wanted)
    except RefusedError:
        return False


class Folded:
    """What the production folds make of both topics, from nothing; `end_ms` is where event time ends."""

    def __init__(self, inputs: dict[str, list[Input]], now_ms: int, end_ms: int) -> None:
        self._log = MemoryLog(1, now_ms)
        for each in inputs[WALLET_INPUTS.name]:
            self._log.topics[WALLET_INPUTS.name, 0].append(each.record)
        chat = [each.record for each in inputs[CHAT_EVENTS.name]]
        end = Record(None, encode_tick(end_ms, final=True))
        chat.append(stored(CHAT_EVENTS.name, 0, 1 + max((each.offset for each in chat), default=-1), end, now_ms))
        sessionizer = Sessionizer(Policy(), 0, chosen())
        self._process(sessionizer, chat)
        mark = msgspec.msgpack.decode(sessionizer.mark(), type=Mark)
        self.state = mark.watermark_ms, dict(entry for block in sessionizer.changed() for entry in unpack(block))
        """What a checkpoint of the sessionizer would hold, but for its counts, which know what was refused."""
        self._write(sessionizer.confirm(chat[-1].offset))
        charger = Charger(Policy(), 0)
        self._process(charger, self._log.topics[WALLET_INPUTS.name, 0])
        charger.mark()
        self.records = sum(1 for block in charger.changed() for _ in unpack(block))
        """What a checkpoint of the charger would hold, so that it could be written."""

    def _process(self, fold: Fold, records: list[ConsumerRecord]) -> None:
        for _, fetched in groupby(records, key=lambda record: record.offset // READ_AT_ONCE):
            self._write(fold.process(list(fetched)))

    def _write(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            for record in listed(output.records):
                self._log.add(output.topic.name, 0, record)

    def letters(self) -> dict[Place, list[DeadLetter]]:
        """The dead letters by the place of the record that they are for, each as often as it was written."""
        found: dict[Place, list[DeadLetter]] = {}
        for record in self._log.all_of(DEAD_LETTERS.name):
            letter = from_record(record.key, record.value, list(record.headers))
            found.setdefault((letter.source_topic, letter.source_offset), []).append(letter)
        return found

    def view(self) -> View:
        """What analysts see in the end, without the dead letters."""
        seen = view(self._log)
        seen.dead = {}
        return seen

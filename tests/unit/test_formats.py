"""Messages carry their format and their generation, and a program refuses what a newer one wrote."""

import json
from typing import Any

import pytest

from aggregator.core.records import read_ledger_update
from meter.charger.charger import Charger
from meter.charger.state import Mark, encode
from meter.core.policy import Policy
from meter.core.wallet.source import Source
from meter.kafka.home import home_of
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine
from meter.sessionizer.sessionizer import Sessionizer
from meter.stage.lives import OtherLifeError
from meter.stage.mark import Life
from schemas.formats import LEDGER_FORMAT, METERED_FORMAT, NewerFormatError
from schemas.metered import ConversationMetered, SafePoint, decode_wallet_input
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, LEDGER, WALLET_INPUTS
from schemas.versions import GENERATION_BITS, offset_of, version_of
from tests.oracle.build import NOW, chat
from tests.packed_records import listed
from tests.properties.memory_log import stored
from tests.sessionizer_engines import core, either

FOUR = TopicIdentity("", "", 4)


@either
def test_an_origin_has_the_generation_in_it(make_engine: MakeEngine) -> None:
    """A topic that was created again begins at offset 0, and its updates are newer than all before."""
    sessionizer = Sessionizer(Policy(), 0, make_engine)
    sessionizer.finish(None, -1)
    sessionizer.begin(Life(2, FOUR, FOUR))
    records = [stored(CHAT_EVENTS.name, 0, 5, Record(b"w", chat(at=0)), NOW)]
    (metered,) = [record for output in sessionizer.process(records) for record in listed(output.records)]
    found = decode_wallet_input(metered.value or b"")
    assert isinstance(found, ConversationMetered)
    assert (found.origin_offset, found.format) == (version_of(2, 5), METERED_FORMAT)
    assert (found.origin_offset >> GENERATION_BITS, offset_of(found.origin_offset)) == (2, 5)


def test_a_safe_point_says_of_which_life_it_is() -> None:
    """How many partitions chat-events has, and in which generation the offset is meant."""
    sessionizer = Sessionizer(Policy(), 0, core)
    sessionizer.finish(None, -1)
    sessionizer.begin(Life(2, FOUR, FOUR))
    sessionizer.mark()
    (output,) = sessionizer.confirm(7)
    (record,) = listed(output.records)
    point = decode_wallet_input(record.value or b"")
    assert isinstance(point, SafePoint)
    assert (point.partitions, point.generation, point.origin_offset) == (4, 2, version_of(2, 7))


def charged(value: dict[str, Any], partitions: int = 4, generation: int = 0) -> list[Any]:
    """What a charger of so many partitions makes of one record."""
    charger = Charger(Policy(), 0)
    charger.finish(encode(Mark(Source(safe_offset=version_of(generation, 0) - 1))), -1)
    charger.begin(Life(generation, TopicIdentity("", "", partitions), FOUR))
    return list(charger.process([stored(WALLET_INPUTS.name, 0, 3, Record(None, json.dumps(value).encode()))]))


POINT: dict[str, Any] = {"type": "meter.safepoint", "origin_partition": 0, "origin_offset": 1, "watermark_ms": 1}


def test_a_charger_refuses_a_newer_sessionizers_records() -> None:
    """It would drop what it does not know. A record of another client with such a field is refused as ever."""
    with pytest.raises(NewerFormatError, match="wallet-inputs/0, offset 3 has format 2"):
        charged(POINT | {"format": METERED_FORMAT + 1})
    with pytest.raises(NewerFormatError):
        charged({"type": "meter.of.the.future", "format": METERED_FORMAT + 1})
    assert len(charged({"type": "billing.unknown", "format": METERED_FORMAT + 1})[0].records) == 1


@pytest.mark.parametrize(("partitions", "refuses"), [(4, False), (0, False), (8, True)])
def test_a_charger_compares_the_partitions_of_the_origin(partitions: int, refuses: bool) -> None:
    """Partition n of chat-events fills partition n of wallet-inputs."""
    if not refuses:
        charged(POINT | {"partitions": partitions})
        return
    with pytest.raises(OtherLifeError, match="meter repartition --to 8"):
        charged(POINT | {"partitions": partitions})


@pytest.mark.parametrize(("partitions", "refuses"), [(2, False), (0, False), (4, True)])
def test_a_charger_knows_a_sessionizer_that_lost_its_state(partitions: int, refuses: bool) -> None:
    """A safe point of an earlier generation is a paused worker's if it names the former number of partitions.

    With the present number it comes from a sessionizer that began again, and all of its updates would be ignored.
    """
    if not refuses:
        assert all(not output.records for output in charged(POINT | {"partitions": partitions}, generation=1))
        return
    with pytest.raises(
        OtherLifeError, match=r"conversation-state/0 has lost the state .* `python -m meter begin-anew`"
    ):
        charged(POINT | {"partitions": partitions}, generation=1)


def test_an_update_of_before_a_repartition_is_a_repeat_wherever_it_lies() -> None:
    """A paused worker writes it to the former partition. It changes nothing, and is no dead letter."""
    away = next(f"ws-{number}" for number in range(99) if home_of(f"ws-{number}", 4) != 0)
    charger = Charger(Policy(), 0, 4)
    charger.finish(encode(Mark(Source(safe_offset=version_of(1, 5)))), -1)
    charger.begin(Life(1, FOUR, FOUR))
    sessionizer = Sessionizer(Policy(), 0, core)
    sessionizer.finish(None, -1)
    events = [stored(CHAT_EVENTS.name, 0, 5, Record(b"w", chat(at=0, ws=away)), NOW)]
    (metered,) = [record for output in sessionizer.process(events) for record in listed(output.records)]
    outputs = list(charger.process([stored(WALLET_INPUTS.name, 0, 9, metered)]))
    assert all(not output.records for output in outputs)


def test_the_aggregator_refuses_a_newer_chargers_updates() -> None:
    """With the sentence, not as a record that cannot be read."""
    value = json.dumps({"format": LEDGER_FORMAT + 1}).encode()
    with pytest.raises(NewerFormatError, match="start that version or a later one"):
        read_ledger_update(stored(LEDGER.name, 0, 0, Record(None, value)))

"""A partition in which nobody speaks any more: what it is told, and what becomes of its last conversations."""

from aiokafka import ConsumerRecord

from meter.core.policy import Policy
from meter.kafka.records import Record
from meter.sessionizer.sessionizer import Sessionizer
from schemas.instants import DAY_MS, MINUTE_MS, from_ms
from schemas.metered import ConversationMetered, decode_wallet_input
from schemas.topics import WALLET_INPUTS
from tests.oracle.build import T0, chat
from tests.packed_records import listed
from tests.sessionizer_engines import chosen

NOW = T0 + DAY_MS


def spoken_to(at_ms: int) -> Sessionizer:
    """A sessionizer that has heard one message, at `at_ms`."""
    sessionizer = Sessionizer(Policy(), 0, chosen())
    list(sessionizer.process([record(0, chat(at_ms - T0))]))
    return sessionizer


def record(offset: int, value: bytes | None) -> ConsumerRecord:
    return ConsumerRecord("chat-events", 0, offset, NOW, 0, None, value, None, -1, 0, ())


def closed_by(sessionizer: Sessionizer, ticks: list[Record]) -> list[str]:
    """The states told to the wallets once the ticks are read back."""
    records = [record(1 + number, tick.value) for number, tick in enumerate(ticks)]
    outputs = sessionizer.process(records) if records else ()
    told = [each for output in outputs if output.topic == WALLET_INPUTS for each in listed(output.records)]
    metered = [decode_wallet_input(each.value or b"") for each in told]
    return [each.state for each in metered if isinstance(each, ConversationMetered)]


def test_the_last_conversation_closes_though_nobody_speaks() -> None:
    """DOMAIN, Metering 2: 15:00.001 of silence end a conversation; 15:00.000 do not."""
    for silence_ms, states in ((15 * MINUTE_MS, []), (15 * MINUTE_MS + 1, ["closed"])):
        sessionizer = spoken_to(NOW - silence_ms)
        assert closed_by(sessionizer, sessionizer.idle(NOW)) == states


def test_history_is_not_told_the_time_of_today() -> None:
    """What is fed of the past gets its time from whoever feeds it: a tick of now would make the rest of it late."""
    assert len(spoken_to(NOW - DAY_MS + 1).idle(NOW)) == 1, from_ms(NOW)
    assert spoken_to(NOW - DAY_MS).idle(NOW) == []
    assert spoken_to(NOW).idle(NOW) == []


def test_an_empty_partition_gets_no_tick() -> None:
    """An empty partition has no conversation to close."""
    assert Sessionizer(Policy(), 0, chosen()).idle(NOW) == []

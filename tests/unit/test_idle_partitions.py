"""A partition without new events: which ticks it gets, and what becomes of its last conversations."""

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
    """Old events get their time from the process that feeds them: a tick of now would make the rest of them late."""
    assert len(spoken_to(NOW - DAY_MS + 1).idle(NOW)) == 1, from_ms(NOW)
    assert spoken_to(NOW - DAY_MS).idle(NOW) == []
    assert spoken_to(NOW).idle(NOW) == []


def spoken_at(event_ms: int, arrived_ms: int) -> Sessionizer:
    """A sessionizer that has heard one message of `event_ms`, which Kafka received at `arrived_ms`."""
    sessionizer = Sessionizer(Policy(), 0, chosen())
    sessionizer.finish(None, -1)
    text = chat(event_ms - T0)
    list(sessionizer.process([ConsumerRecord("chat-events", 0, 0, arrived_ms, 0, None, text, None, -1, 0, ())]))
    return sessionizer


def restarted(sessionizer: Sessionizer) -> Sessionizer:
    """Another process that begins with its checkpoint."""
    other = Sessionizer(Policy(), 0, chosen())
    for block in sessionizer.changed():
        other.load(0, block)
    other.finish(sessionizer.mark(), -1)
    return other


def test_a_live_partition_is_ticked_however_long_the_outage_was() -> None:
    """Its last record arrived when it happened, so its conversation closes once a worker is there again."""
    sessionizer = restarted(spoken_at(NOW - 30 * DAY_MS, NOW - 29 * DAY_MS - 1))
    assert closed_by(sessionizer, sessionizer.idle(NOW)) == ["closed"]
    assert restarted(restarted(sessionizer)).idle(NOW) == []


def test_a_partition_of_old_events_is_never_ticked() -> None:
    """Neither by the worker that read them nor by the next one, also if it refuses records meanwhile."""
    sessionizer = spoken_at(NOW - 30 * DAY_MS, NOW - 29 * DAY_MS)
    assert restarted(sessionizer).idle(NOW) == []
    list(sessionizer.process([record(1, b"no event at all")]))
    assert sessionizer.idle(NOW) == []
    assert restarted(sessionizer).idle(NOW) == []


def test_what_is_refused_after_an_outage_does_not_make_a_partition_old() -> None:
    """Only a record that moves event time says whether a partition is live."""
    sessionizer = spoken_at(NOW - 30 * DAY_MS, NOW - 30 * DAY_MS)
    list(sessionizer.process([record(1, b"no event at all")]))
    assert len(restarted(sessionizer).idle(NOW)) == 1


def test_an_empty_partition_gets_no_tick() -> None:
    """An empty partition has no conversation to close."""
    assert Sessionizer(Policy(), 0, chosen()).idle(NOW) == []

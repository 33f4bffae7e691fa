"""Receipts: which state counts, reading them again, and writing them until they are written."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.notify import receipts as product
from schemas.deliveries import Again, Delivery, Status, Target, again_header, again_of, encode_delivery, read_delivery
from schemas.formats import NewerFormatError
from schemas.topics import DELIVERIES, NOTICES
from tests.notify.fakes import MemoryTopics, receipts_on


def receipt(status: Status, notice_id: str = "n-1") -> Delivery:
    """A receipt of one mail."""
    return Delivery(
        notice_id=notice_id,
        channel="mail",
        recipient="mia@example.com",
        status=status,
        at=datetime(2026, 11, 30, tzinfo=UTC),
        partition=0,
        offset=0,
    )


@pytest.mark.parametrize(
    ("written", "is_final", "is_uncertain"),
    [
        ([], False, False),
        (["begun"], False, True),
        (["begun", "waiting"], False, False),
        (["begun", "waiting", "begun"], False, True),
        (["begun", "sent"], True, False),
        (["begun", "failed"], True, False),
        (["stale"], True, False),
        (["begun", "sent", "begun"], True, False),
    ],
)
async def test_the_newest_receipt_counts_and_a_final_one_stays(
    written: list[Status], is_final: bool, is_uncertain: bool
) -> None:
    """The last case is a superseded process, which wrote late. The state is the same in the process that wrote."""
    topics = MemoryTopics()
    writer = receipts_on(topics)
    for each in written:
        await writer.write(receipt(each))
    other = receipts_on(topics)
    await other.catch_up()
    key = receipt("begun").key()
    for found in (writer, other):
        assert (found.is_final(key), found.is_uncertain(key)) == (is_final, is_uncertain)


async def test_a_second_look_reads_only_what_came_since_and_new_partitions() -> None:
    topics = MemoryTopics(partitions=1)
    found = receipts_on(topics)
    await found.write(receipt("sent", "a"))
    await found.catch_up()
    topics.records.append([])
    topics.put(1, encode_delivery(receipt("sent", "b")))
    await found.catch_up()
    assert topics.starts == [{0: 0}, {0: 1, 1: 0}]
    assert found.is_final(receipt("sent", "b").key())


async def test_a_receipt_is_written_until_the_broker_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Giving up would send a mail again that was sent."""
    monkeypatch.setattr(product, "MAX_WAIT_S", 0.0)
    topics = MemoryTopics()
    topics.failures = 4
    await receipts_on(topics).write(receipt("sent"))
    assert topics.said("n-1") == ["sent"]


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b'{"notice_id": "n"}', b'{"format": 1}', b"\xff", b"[" * 9000]
)
async def test_a_record_that_is_no_receipt_is_passed_over(value: bytes | None) -> None:
    topics = MemoryTopics()
    topics.put(0, value)
    topics.put(0, encode_delivery(receipt("sent")))
    found = receipts_on(topics)
    await found.catch_up()
    assert found.is_final(receipt("sent").key())


async def test_a_receipt_of_a_newer_version_is_refused() -> None:
    """This version could not tell whether the mail was sent."""
    newer = msgspec.json.decode(encode_delivery(receipt("sent"))) | {"format": 2}
    topics = MemoryTopics()
    topics.put(0, msgspec.json.encode(newer))
    with pytest.raises(NewerFormatError, match="format 2"):
        await receipts_on(topics).catch_up()


def test_a_receipt_is_read_as_it_was_written() -> None:
    assert read_delivery(encode_delivery(receipt("waiting"))) == receipt("waiting")


def test_a_receipt_of_format_1_is_read() -> None:
    """As the first version wrote it."""
    written = (
        b'{"notice_id":"n-1","channel":"mail","recipient":"mia@example.com","status":"failed",'
        b'"at":"2026-11-30T19:28:37.018883Z","partition":2,"offset":7,"reason":"550 no","attempts":1,"again":"a1",'
        b'"template":"low-balance","workspace_id":"ws-0","format":1}'
    )
    found = read_delivery(written)
    assert found is not None
    assert (found.notice_id, found.status, found.reason, found.again) == ("n-1", "failed", "550 no", "a1")


def test_a_receipt_outlives_its_notice() -> None:
    """By more than the week that a segment of Kafka may be open."""
    days = {topic.name: int(topic.config["retention.ms"]) / 86_400_000 for topic in (NOTICES, DELIVERIES)}
    assert days["notices"] == 90
    assert days["deliveries"] >= 90 + 8


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(_TEXTS, _TEXTS, _TEXTS, _TEXTS)
def test_different_deliveries_have_different_keys(first: str, second: str, third: str, fourth: str) -> None:
    """Text cannot flow from one part into the next."""
    one = msgspec.structs.replace(receipt("sent", first), recipient=second)
    other = msgspec.structs.replace(receipt("sent", third), recipient=fourth)
    assert (one.key() == other.key()) == ((first, second) == (third, fourth))


def test_a_wish_is_read_from_the_last_header_and_a_malformed_one_is_refused() -> None:
    again = Again("a1", (Target("webhook", "console"),))
    assert again_of([("x", b"1"), ("deliver-again", b"junk"), again_header(again)]) == again
    assert again_of([("x", None)]) is None
    with pytest.raises(msgspec.MsgspecError):
        again_of([("deliver-again", None)])

"""Which deliveries are asked for again, and what an operator sees of deliveries."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from meter.notify.inventory import Deliveries
from meter.notify.replay import ReplayError, targets_of
from schemas.deliveries import Channel, Delivery, Status

AT = datetime(2026, 11, 30, tzinfo=UTC)


def receipt(status: Status, recipient: str = "a@b", channel: Channel = "mail", minute: int = 0) -> Delivery:
    """A receipt at a minute."""
    return Delivery(
        notice_id="n-1",
        channel=channel,
        recipient=recipient,
        status=status,
        at=AT + timedelta(minutes=minute),
        partition=0,
        offset=0,
    )


ALL = (
    receipt("sent", "sent@b"),
    receipt("failed", "failed@b"),
    receipt("stale", "stale@b"),
    receipt("waiting", "waiting@b"),
    receipt("begun", "begun@b"),
    receipt("failed", "console", "webhook"),
)


@pytest.mark.parametrize(
    ("channel", "recipients", "sent_too", "found"),
    [
        (None, (), False, ["failed@b", "stale@b", "console"]),
        (None, (), True, ["sent@b", "failed@b", "stale@b", "console"]),
        ("mail", (), False, ["failed@b", "stale@b"]),
        ("webhook", (), False, ["console"]),
        ("webhook", ("new",), False, ["new"]),
        ("webhook", ("console", "new"), False, ["console", "new"]),
        (None, ("failed@b", "sent@b"), False, ["failed@b"]),
        (None, ("sent@b",), True, ["sent@b"]),
    ],
)
def test_what_ended_without_success_is_asked_for_again(
    channel: Channel | None, recipients: tuple[str, ...], sent_too: bool, found: list[str]
) -> None:
    assert [each.recipient for each in targets_of(ALL, channel, recipients, sent_too=sent_too)] == found


@pytest.mark.parametrize(
    ("deliveries", "channel", "recipients", "why"),
    [
        ((), None, (), "no delivery of this notice is recorded"),
        (ALL, None, ("unknown",), "no delivery of this notice is recorded"),
        (ALL, None, ("sent@b",), "add --sent-too"),
        (ALL, "mail", ("waiting@b",), "still tries"),
        (ALL, None, ("begun@b",), "still tries"),
    ],
)
def test_nothing_to_ask_for_is_refused_with_the_reason(
    deliveries: tuple[Delivery, ...], channel: Channel | None, recipients: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ReplayError, match=why):
        targets_of(deliveries, channel, recipients, sent_too=False)


def test_the_last_delivery_to_a_recipient_counts() -> None:
    """A replay of its own that was sent, after a failure."""
    again = msgspec.structs.replace(receipt("sent", minute=5), again="a1")
    with pytest.raises(ReplayError, match="--sent-too"):
        targets_of([receipt("failed"), again], None, (), sent_too=False)


def test_a_list_has_the_newest_receipt_of_each_delivery() -> None:
    found = Deliveries()
    for each in (receipt("begun"), receipt("begun", "c@d", minute=1), receipt("sent", minute=2), receipt("begun")):
        found.add(each)
    assert [(each.recipient, each.status) for each in found.all()] == [("c@d", "begun"), ("a@b", "sent")]


def test_a_list_is_of_one_notice_and_of_a_time() -> None:
    found = Deliveries("n-1", since_ms=int(AT.timestamp() * 1000) + 60_000)
    found.add(receipt("sent"))
    found.add(msgspec.structs.replace(receipt("sent", minute=1), notice_id="n-2"))
    found.add(receipt("sent", "c@d", minute=1))
    assert [each.recipient for each in found.all()] == ["c@d"]


def test_a_list_is_bounded_and_says_what_it_leaves_out() -> None:
    found = Deliveries(most=2)
    for number in range(5):
        found.add(receipt("sent", f"{number}@b", minute=number))
    assert [each.recipient for each in found.all()] == ["3@b", "4@b"]
    assert found.dropped == 3

"""Asking for deliveries of a notice again: the notice is written once more, with a header that names the deliveries."""

import secrets
from collections.abc import Collection, Iterable
from typing import NamedTuple

from aiokafka import ConsumerRecord

from meter.kafka import reader
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics, delivered
from meter.settings import Settings
from schemas.deliveries import UNREADABLE, Again, Channel, Delivery, Target, again_header
from schemas.notices import Notice, decode_notice
from schemas.topics import NOTICES


class ReplayError(Exception):
    """A notice cannot be delivered again. The message says why and what to do."""


class Chosen(NamedTuple):
    """A notice, the bytes of its record, and the deliveries to make again."""

    notice: Notice
    value: bytes
    targets: tuple[Target, ...]


def targets_of(
    deliveries: Iterable[Delivery], channel: Channel | None, recipients: Collection[str], *, sent_too: bool
) -> tuple[Target, ...]:
    """Return the deliveries of a notice to make again: those that ended without success, or with `sent_too` all.

    One that is under way is left alone, because a running program goes on with it. A recipient that is named counts
    even without a receipt: an endpoint may be new. Raises ReplayError if nothing is left.
    """
    newest: dict[Target, Delivery] = {}
    for each in deliveries:
        newest[Target(each.channel, each.recipient)] = each
    fit = {
        target: each
        for target, each in newest.items()
        if channel in (None, target.channel) and (not recipients or target.recipient in recipients)
    }
    wanted = ("failed", "stale", "sent") if sent_too else ("failed", "stale")
    found = [target for target, each in fit.items() if each.status in wanted]
    if channel is not None:
        found += [new for name in recipients if (new := Target(channel, name)) not in newest]
    if not found:
        raise ReplayError(_nothing(fit.values()))
    return tuple(found)


def _nothing(newest: Collection[Delivery]) -> str:
    """The reason why nothing is left to deliver again, without a period."""
    if any(each.status in ("begun", "waiting") for each in newest):
        return (
            "nothing to deliver again: `python -m meter notify` still tries, see `python -m meter notices deliveries`"
        )
    if newest:
        return "nothing to deliver again: all that fits was sent; add --sent-too to send it once more"
    return "no delivery of this notice is recorded: see `python -m meter notices deliveries` for those there are"


async def find(bootstrap: str, notice_id: str, deliveries: Collection[Delivery]) -> tuple[Notice, bytes]:
    """Return the notice with this id and the bytes of its record. Raises ReplayError if there is none any more."""
    for each in deliveries:
        record = await reader.one(bootstrap, NOTICES, each.partition, each.offset)
        found = _notice(record, notice_id)
        if found is not None:
            return found
    async for record in reader.records(bootstrap, NOTICES):
        found = _notice(record, notice_id)
        if found is not None:
            return found
    raise ReplayError(
        f"no notice {notice_id} lies on {NOTICES.name}: it is kept for 90 days, and a record that is no notice cannot "
        "be delivered"
    )


def _notice(record: ConsumerRecord | None, notice_id: str) -> tuple[Notice, bytes] | None:
    if record is None or record.value is None:
        return None
    try:
        notice = decode_notice(record.value)
    except UNREADABLE:
        return None
    return (notice, record.value) if notice.notice_id == notice_id else None


async def ask_again(settings: Settings, chosen: Chosen) -> Again:
    """Write the notice again, with the wish for these deliveries. Returns when the broker has acknowledged it."""
    again = Again(secrets.token_hex(8), chosen.targets)
    record = Record(chosen.notice.workspace_id.encode("utf-8", "replace"), chosen.value, [again_header(again)])
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        await delivered(await topics.append_keyed(NOTICES.name, [record]))
    finally:
        await topics.stop()
    return again

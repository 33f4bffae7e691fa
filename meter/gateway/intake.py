"""From a body to records: each event is read by the product's parser, and refused or written as the bytes that came."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from meter.core.card_numbers import card_number_in
from meter.core.decode import read
from meter.core.rejection import Rejected
from meter.gateway.bodies import Body
from meter.gateway.metrics import RECORDS, REFUSED
from meter.gateway.ports import KafkaAwayError, Writer
from meter.gateway.problems import ProblemError, refusal, unavailable
from meter.kafka.records import Record
from schemas.commands import AnyCommand, decode_command
from schemas.events import AlertNotification, Message, ProactiveNotification
from schemas.forms import Form
from schemas.topics import Topic

OutsideEvent = Message | ProactiveNotification | AlertNotification
"""The events that bot runtimes write. Ticks and policies are the product's own, and the gateway refuses them."""

OUTSIDE_EVENTS: Final[Form[OutsideEvent]] = Form(OutsideEvent)
COMMANDS: Final[Form[AnyCommand]] = decode_command

Event = TypeVar("Event", OutsideEvent, AnyCommand)


class Item(NamedTuple, Generic[Event]):
    """An event that is accepted: its number in the body, from 0; what it says; and its record."""

    number: int
    event: Event
    record: Record


class Sorted(NamedTuple, Generic[Event]):
    """The events of a body: those that are written, and the problems of the others by their number."""

    accepted: list[Item[Event]]
    refused: list[tuple[int, ProblemError]]


def sort_out(body: Body, form: Form[Event], may_write: Callable[[Event], ProblemError | None]) -> Sorted[Event]:
    """Read each event of a body. `may_write` returns why the key may not write it; None if it may.

    The value of a record is what the client sent, byte for byte, so that the stages read what was accepted.
    """
    accepted: list[Item[Event]] = []
    refused: list[tuple[int, ProblemError]] = []
    for number, value in enumerate(body.values):
        event = read(value, form)
        event = card_number_in(event, value) or event
        problem = refusal(event) if isinstance(event, Rejected) else may_write(event)
        if problem is not None:
            refused.append((number, problem))
        elif not isinstance(event, Rejected):
            accepted.append(Item(number, event, Record(event.data.workspace_id.encode(), value)))
    return Sorted(accepted, refused)


def note(kind: str, found: Sorted[Any]) -> None:
    """Count the refused events of a body for /metrics, once."""
    for _, problem in found.refused:
        REFUSED.labels(problem.code).inc()
    RECORDS.labels(kind, "refused").inc(len(found.refused))


async def write_all(writer: Writer, topic: Topic, kind: str, items: Sequence[Item[Any]]) -> None:
    """Write accepted events, and return when the broker has acknowledged them. Raises ProblemError with 503."""
    if not items:
        return
    require_kafka(writer)
    try:
        await writer.write(topic, [item.record for item in items])
    except KafkaAwayError as error:
        raise unacknowledged() from error
    RECORDS.labels(kind, "accepted").inc(len(items))


def require_kafka(writer: Writer) -> None:
    """Raise ProblemError with 503 while no broker answers: then nothing is written."""
    if not writer.is_up():
        raise unavailable("kafka_away", "Kafka does not answer; nothing was written")


def unacknowledged() -> ProblemError:
    """Return the problem of a write that Kafka did not acknowledge in time."""
    return unavailable(
        "not_acknowledged",
        "Kafka did not acknowledge in time, so it is not known what was written; send all of it again: "
        "a repeat with the same ids changes nothing",
    )


def summary(found: Sorted[Any]) -> dict[str, Any]:
    """Return the answer to a batch: how many events were written, and each that was refused."""
    return {"accepted": len(found.accepted), "refused": refusals(found.refused)}


def refusals(refused: Sequence[tuple[int, ProblemError]]) -> list[dict[str, Any]]:
    """Return refused events as the members of a JSON document."""
    return [
        {"index": number, "code": problem.code, "field": problem.field, "reason": problem.detail}
        for number, problem in refused
    ]


def require_some(found: Sorted[Any], *, is_batch: bool) -> None:
    """Raise the problem of a body of which nothing is accepted: of a single event its own, else one with all."""
    if found.accepted:
        return
    (_, first), *_ = found.refused
    if not is_batch:
        raise first
    raise ProblemError(
        first.status if len({problem.status for _, problem in found.refused}) == 1 else 422,
        "all_refused",
        "each event of the batch is refused",
        members={"accepted": 0, "refused": refusals(found.refused)},
    )

"""Comparing the life of the topics that a mark names with the one that the brokers have now (docs/adr/0020).

An offset means a record only within one life of a topic. Every function here raises RefusalError where going on would
bill something twice or not at all.
"""

from faust.types import TP

from meter.stage.mark import Life
from meter.stage.refusals import LostRecordsError, RefusalError
from schemas.metered import SafePoint
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, WALLET_INPUTS, Topic


class OtherLifeError(RefusalError):
    """The topics are not those that the state was saved with."""


def check_partitions(source: Topic, state: Topic, life: Life) -> None:
    """Check that both topics have the same number of partitions: partition n of one is the state of partition n."""
    found, saved = life.source.partitions, life.state.partitions
    if found != saved:
        raise OtherLifeError(_repartitioned(source, state.name, saved, found))


def check_count(source: Topic, first: Life, now: Life) -> None:
    """Check that the source still has the number of partitions that it had when this worker began."""
    before, partitions = first.source.partitions, now.source.partitions
    if before != partitions:
        raise OtherLifeError(_repartitioned(source, "this worker's layout", before, partitions))


def check_life(source: Topic, state: Topic, saved: Life, now: Life) -> None:
    """Check that the brokers have the topics with which a mark was saved."""
    partitions = now.source.partitions
    if saved.source.partitions != partitions:
        raise OtherLifeError(_repartitioned(source, f"its state in {state.name}", saved.source.partitions, partitions))
    if not saved.source.is_same_life(now.source):
        raise OtherLifeError(
            f"{_changed(source, saved.source, now.source)} since the state in {state.name} was saved, "
            "so the saved offsets mean other records; run `python -m meter accept-loss`, which writes down what was "
            "lost and goes on with the new topic, or `python -m meter begin-anew`, which empties all topics"
        )
    if not saved.state.is_same_life(now.state):
        raise OtherLifeError(
            f"{_changed(state, saved.state, now.state)} while workers wrote to it, so it holds only a part; "
            "run `python -m meter rebuild`, which makes the state again from the topics"
        )


def check_offsets(tp: TP, next_offset: int, beginning: int, end: int) -> None:
    """Check that a stage can go on at `next_offset`: the log has records from `beginning` up to `end` - 1."""
    if beginning > next_offset:
        raise LostRecordsError.between(tp, next_offset, beginning)
    if end < next_offset:
        raise OtherLifeError(
            f"{tp.topic}/{tp.partition} ends at offset {end}, and its state was saved after offset {next_offset - 1}: "
            "the broker has lost records that were acknowledged, or this is a copy with other offsets; "
            "run `python -m meter accept-loss`, which writes down what was lost and goes on at the end"
        )


def check_epoch(tp: TP, next_offset: int, epoch_end: int | None) -> None:
    """Check that the log still holds what was read, if the epoch of the last record ends at `epoch_end`."""
    if epoch_end is not None and epoch_end < next_offset:
        raise OtherLifeError(
            f"{tp.topic}/{tp.partition} has lost acknowledged records from offset {epoch_end} on, as in an "
            f"unclean leader election, and its state was saved after offset {next_offset - 1}: "
            "new records may have their offsets; run `python -m meter accept-loss`, which writes down what was lost "
            "and goes on with what is new"
        )


def check_state_is_there(tp: TP, state: Topic, beginning: int, committed: int | None) -> None:
    """Check that a partition without a mark never had one, unless all of its records can be read again."""
    if beginning > 0 and committed is not None and committed > beginning:
        raise OtherLifeError(
            f"{state.name}/{tp.partition} holds no checkpoint, although the group has read {tp.topic}/{tp.partition} "
            f"up to offset {committed - 1} and the records before {beginning} are deleted; "
            "run `python -m meter rebuild`, which makes the state again from the topics"
        )


def check_origin(point: SafePoint, own: Life) -> None:
    """Check that chat-events has as many partitions as wallet-inputs: partition n of one fills n of the other.

    `own` is the life of wallet-inputs. A safe point of an earlier generation is a repeat, of a worker that was paused
    while the topics were repartitioned: it names their former number. One that names the present number comes from a
    sessionizer that has lost its state, whose metered updates would all be taken for repeats.
    """
    partitions = own.source.partitions
    if point.generation < own.generation and point.partitions == partitions:
        raise OtherLifeError(
            f"{CONVERSATION_STATE.name}/{point.origin_partition} has lost the state that a repartition has put there, "
            "and it cannot be made again from the topics; bring it back, or run `python -m meter begin-anew`"
        )
    if point.generation >= own.generation and partitions and point.partitions not in (0, partitions):
        raise OtherLifeError(_repartitioned(CHAT_EVENTS, WALLET_INPUTS.name, partitions, point.partitions))


def _repartitioned(source: Topic, other: str, before: int, now: int) -> str:
    """The sentence for a source with `now` partitions, of which the `other` thing has `before`."""
    counts = f"{source.name} has {now} partitions, and {other} has {before}: workspaces are in other partitions now; "
    if now < before:
        return f"{counts}run `python -m meter begin-anew`, which makes all topics again, empty, with KAFKA_PARTITIONS"
    return f"{counts}run `python -m meter repartition --to {now} --yes`, which moves their state"


def _changed(topic: Topic, saved: TopicIdentity, now: TopicIdentity) -> str:
    if saved.cluster_id != now.cluster_id:
        return f"{topic.name} is in another cluster ({now.cluster_id}, not {saved.cluster_id})"
    return f"{topic.name} was deleted and created again (its id is {now.topic_id}, not {saved.topic_id})"

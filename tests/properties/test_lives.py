"""A state goes on only with the topics that it was saved with, and each later life of them is newer than all before."""

import dataclasses

import msgspec
import pytest
from faust.types import TP
from msgspec.structs import replace

from meter.stage.checkpoints import Checkpoints
from meter.stage.lives import (
    OtherLifeError,
    check_epoch,
    check_life,
    check_offsets,
    check_partitions,
    check_state_is_there,
)
from meter.stage.mark import Life, decode_mark, encode_mark, new_mark
from meter.stage.refusals import LostRecordsError, RefusalError
from schemas.formats import STATE_FORMAT, NewerFormatError
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE
from tests.properties.memory_state_topic import LIFE, A, MemoryStateTopic, Process, Table, done, held, written

SOURCE, STATE = LIFE.source, LIFE.state
PARTITION = TP(CHAT_EVENTS.name, 0)


def as_of(log: MemoryStateTopic, now: Life) -> Table:
    """Restore a log while the brokers have the topics of `now`."""
    table = Table()
    done(Checkpoints(log, CHAT_EVENTS, CONVERSATION_STATE, 0, now).restore(table))  # type: ignore[arg-type]
    return table


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (Life(0, replace(SOURCE, topic_id="other"), STATE), "deleted and created again .*python -m meter accept-loss"),
        (Life(0, replace(SOURCE, cluster_id="other"), STATE), "in another cluster .*python -m meter accept-loss"),
        (Life(0, SOURCE, replace(STATE, topic_id="other")), "only a part; run `python -m meter rebuild`"),
        (
            Life(0, replace(SOURCE, partitions=2), STATE),
            "its state in .* has 1: .* `python -m meter repartition --to 2 --yes`",
        ),
        (Life(0, replace(SOURCE, partitions=0), STATE), "its state in .* has 1: .* `python -m meter begin-anew`"),
    ],
)
def test_a_state_is_refused_by_topics_of_another_life(now: Life, sentence: str) -> None:
    """The saved offset means another record there: going on would bill twice or not at all."""
    log = written([(3, {A: b"a3"})])
    with pytest.raises(OtherLifeError, match=sentence):
        as_of(log, now)


@pytest.mark.parametrize("unknown", [replace(SOURCE, topic_id=""), replace(SOURCE, cluster_id="", topic_id="")])
def test_an_id_that_a_broker_does_not_give_equals_every_id(unknown: TopicIdentity) -> None:
    """Old brokers know no topic ids; the number of partitions is compared with them too."""
    assert as_of(written([(3, {A: b"a3"})]), Life(0, unknown, STATE)).now == {A: b"a3"}
    with pytest.raises(OtherLifeError):
        check_life(CHAT_EVENTS, CONVERSATION_STATE, LIFE, Life(0, replace(unknown, partitions=9), STATE))


def test_source_and_state_have_the_same_number_of_partitions() -> None:
    """A partition of events without one of state has nowhere to save."""
    with pytest.raises(OtherLifeError, match=r"and conversation-state has 1: .*meter repartition --to 8 --yes`"):
        check_partitions(CHAT_EVENTS, CONVERSATION_STATE, Life(0, replace(SOURCE, partitions=8), STATE))


@pytest.mark.parametrize(
    ("beginning", "end", "error"),
    [(0, 10, None), (10, 10, None), (0, 12, None), (11, 12, LostRecordsError), (0, 9, OtherLifeError)],
)
def test_the_log_must_reach_the_saved_offset(beginning: int, end: int, error: type[RefusalError] | None) -> None:
    """Records deleted unread, or a log that ends before the checkpoint: the command that accepts the loss is named."""
    if error is None:
        check_offsets(PARTITION, 10, beginning, end)
        return
    with pytest.raises(error, match="python -m meter accept-loss"):
        check_offsets(PARTITION, 10, beginning, end)


@pytest.mark.parametrize(("epoch_end", "refuses"), [(None, False), (10, False), (12, False), (9, True), (0, True)])
def test_the_epoch_of_the_last_record_must_reach_the_saved_offset(epoch_end: int | None, refuses: bool) -> None:
    """A log that lost its end has other records there, however many were written since; unknown epochs accept it."""
    if not refuses:
        check_epoch(PARTITION, 10, epoch_end)
        return
    with pytest.raises(OtherLifeError, match=f"from offset {epoch_end} on.* after offset 9:.*meter accept-loss"):
        check_epoch(PARTITION, 10, epoch_end)


def test_a_mark_keeps_its_epoch() -> None:
    """The first format had none."""
    log = written([(3, {A: b"a3"})])
    first = Process(log)
    assert first.checkpoints.epoch == -1
    first.checkpoints.epoch = 7
    first.save(4, {A: b"a4"})
    second = Process(log)
    assert second.checkpoints.epoch == 7
    old = msgspec.msgpack.encode([1, LIFE, -1, (), b"fold"])
    assert decode_mark(old, "wallet-state/3").epoch == -1


@pytest.mark.parametrize(
    ("beginning", "committed", "refuses"), [(0, 50, False), (20, None, False), (20, 20, False), (20, 21, True)]
)
def test_an_emptied_state_topic_is_refused_if_the_records_are_gone(
    beginning: int, committed: int | None, refuses: bool
) -> None:
    """Where all records can be read again, the state comes back by itself; a new installation has committed none."""
    if not refuses:
        check_state_is_there(PARTITION, CONVERSATION_STATE, beginning, committed)
        return
    with pytest.raises(OtherLifeError, match="python -m meter rebuild"):
        check_state_is_there(PARTITION, CONVERSATION_STATE, beginning, committed)


def test_a_newer_mark_is_refused() -> None:
    """An older worker would drop the fields that it does not know."""
    newer = encode_mark(replace(new_mark(LIFE, -1, (), b""), format=STATE_FORMAT + 1))
    with pytest.raises(NewerFormatError, match=f"format {STATE_FORMAT + 1}.*start that version or a later one"):
        decode_mark(newer, "wallet-state/3")


def test_a_newer_block_that_counts_is_refused() -> None:
    """A newer worker may have written it and ended before its mark; an older mark then covers it."""
    log = written([(3, {A: b"a3"})])
    at = next(number for number, record in enumerate(log.records) if record.key[:1] == b"b")
    headers = tuple(
        (name, b"%d" % (STATE_FORMAT + 1) if name == "format" else value) for name, value in log.records[at].headers
    )
    log.records[at] = dataclasses.replace(log.records[at], headers=headers)
    with pytest.raises(NewerFormatError):
        Process(log)


def test_a_later_generation_wins_with_any_offset() -> None:
    """Offsets begin again in a new life: a small one there is newer than the largest before."""
    log = written([(30, {A: b"old"})])
    later = Process(log)
    done(later.checkpoints.quarantine.leave_out(40, "of the old life"))
    later.table.change(-1, dict(later.table.now))
    later.checkpoints.life = replace(LIFE, generation=1)
    later.checkpoints._floor = later.checkpoints._next_floor = -2
    done(later.checkpoints.write(-1, later.table, held))
    again = Process(log)
    assert (again.restored.offset, again.checkpoints.life.generation, again.table.now) == (-1, 1, {A: b"old"})
    again.save(2, {A: b"new"})
    last = Process(log)
    assert (last.restored.offset, last.table.now, last.checkpoints.quarantine.left_out) == (2, {A: b"new"}, {})

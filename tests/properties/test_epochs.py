"""A log that loses its end at elections: a loss is found exactly if there is one, and exactly what is new is read."""

from dataclasses import dataclass, field

from hypothesis import event, given
from hypothesis import strategies as st

from meter.operations.cluster import Ends, Saved
from meter.operations.losses import loss_of
from meter.stage.mark import Life, Version, new_mark
from schemas.topic_identity import TopicIdentity

TOPIC = TopicIdentity("cluster", "id", 1)


@dataclass
class Election:
    """A leader that lacks the last `lost` records takes over, and takes `appended` new ones."""

    lost: int
    appended: int
    epochs: int
    """How many epochs later its own is: others may have been elected without taking a record."""


elections = st.lists(
    st.builds(Election, st.sampled_from((0, 0, 1, 2, 9)), st.integers(0, 6), st.integers(1, 3)), max_size=6
)


@dataclass
class Log:
    """The records of a partition, each a number of its own, and where each epoch began, as Kafka keeps it."""

    records: list[int] = field(default_factory=list)
    starts: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    written: int = 0

    def elect(self, election: Election) -> None:
        del self.records[max(0, len(self.records) - election.lost) :]
        end, newest = len(self.records), self.starts[-1][0]
        self.starts = [each for each in self.starts if each[1] < end]
        self.starts.append((newest + election.epochs, end))
        self.append(election.appended)

    def append(self, count: int) -> None:
        self.records += range(self.written, self.written + count)
        self.written += count

    def end_of(self, epoch: int) -> int:
        """As a broker answers it: where the first later epoch begins, or the end of the log."""
        return min((start for later, start in self.starts if later > epoch), default=len(self.records))


@given(elections, elections, st.integers(1, 6), st.integers(0, 2))
def test_a_loss_is_found_exactly_if_there_is_one(
    before: list[Election], after: list[Election], appended: int, later: int
) -> None:
    """Any election before the mark and after it. What is new begins where the log that was read ends.

    The epoch of the mark may be a later one than its record's: that of a newer batch of the same fetch.
    """
    log = Log()
    for election in before:
        log.elect(election)
    log.append(appended)
    read = list(log.records)
    if later:
        log.elect(Election(0, later, 1))
    mark = new_mark(Life(0, TOPIC, TOPIC), -1, (), b"", log.starts[-1][0])
    for election in after:
        log.elect(election)
    saved = Saved(Version(0, len(read) - 1), mark, 0)
    loss = loss_of("chat-events", 0, saved, TOPIC, Ends(0, len(log.records)), log.end_of(mark.epoch))
    if log.records[: len(read)] == read:
        event("nothing was lost")
        assert loss is None
        return
    assert loss is not None
    event(loss.kind)
    assert log.records[: loss.first] == read[: loss.first]
    assert (loss.last, loss.copy_from) == (len(read) - 1, loss.first)
    assert not set(log.records[loss.copy_from :]) & set(read)

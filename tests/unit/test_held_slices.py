"""What was held under a policy is charged in slices, once another policy provisions it."""

from collections.abc import Iterator

import msgspec
import pytest

from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.wallet.wallets import Wallets
from schemas.metered import ConversationMetered, HeldSlice, OccurrenceMetered, RebillSlice, WalletInput
from schemas.policy import PolicyRecord
from tests.bench_wallet.records import conversation
from tests.properties.slices import slices_of
from tests.unit.charger_state import State

HOLD = Policy(unknown_workspace="hold")
CENT_20 = 200_000
SLICE = 5


@pytest.fixture(autouse=True)
def small_slices() -> Iterator[None]:
    with slices_of(SLICE):
        yield


def provisions(version: int = 2, *, at_once: bool = False) -> PolicyRecord:
    how = "at_once" if at_once else "in_slices"
    return PolicyInForce(policy=Policy(), version=version, charges_held=how).record()  # type: ignore[arg-type]


def holds(version: int) -> PolicyRecord:
    return PolicyInForce(policy=HOLD, version=version).record()


class Log:
    """Wallets that hold, and the log that they read: what they order for themselves is at its end."""

    def __init__(self, *each_of: tuple[str, int]) -> None:
        self.wallets = Wallets(HOLD)
        self.offset = 0
        self.due: list[RebillSlice | HeldSlice] = []
        for workspace_id, number in each_of:
            for _ in range(number):
                self.tell(conversation(workspace_id, self.offset))

    def tell(self, *inputs: WalletInput) -> int:
        """Process inputs. Returns how many entries they made."""
        made = 0
        for each in inputs:
            assert self.wallets.step(each, self.offset) is None
            self.offset += 1
            made += sum(len(update.entries) for update in self.wallets.drain_updates(0, self.offset))
        self.due += self.wallets.take_due_slices()
        return made

    def slices(self) -> Iterator[int]:
        """Do all slices, one after another. Yields how many entries each made."""
        while self.due:
            yield self.tell(self.due.pop(0))

    def charged(self) -> dict[str, int]:
        """The conversations of each workspace that are charged."""
        return {
            workspace_id: sum(len(each.units) for each in book.conversations.values())
            for workspace_id, book in self.wallets.books.items()
        }


def test_many_small_workspaces_are_charged_some_in_each_slice() -> None:
    """The policy itself charges none; no slice charges more conversations than a slice has, besides its last."""
    log = Log(*((f"w-{number:02}", 1) for number in range(23)))
    assert log.tell(provisions()) == 0
    made = list(log.slices())
    assert made == [2 * SLICE] * 4 + [6]  # A grant and a charge each.
    assert set(log.charged().values()) == {1}


def test_a_large_workspace_is_charged_in_slices_of_its_own_before_the_next() -> None:
    log = Log(("a", 1), ("b", 12), ("c", 1), ("d", 1))
    log.tell(provisions())
    kinds = []
    while log.due:
        kinds.append(type(log.due[0]))
        log.tell(log.due.pop(0))
    assert kinds[0] is HeldSlice
    assert RebillSlice in kinds
    assert kinds[-1] is HeldSlice
    assert log.charged() == {"a": 1, "b": 12, "c": 1, "d": 1}


def test_others_go_on_between_slices() -> None:
    """A workspace that no policy held is charged at once, and one that waits is charged when an event touches it."""
    log = Log(*((f"w-{number:02}", 1) for number in range(20)))
    log.tell(provisions())
    assert log.tell(conversation("other", log.offset)) == 2
    assert log.tell(conversation("w-19", log.offset)) == 3
    list(log.slices())
    assert log.charged() == {**{f"w-{number:02}": 1 for number in range(19)}, "w-19": 2, "other": 1}


def test_a_policy_that_holds_again_does_not_change_what_was_ordered() -> None:
    """What was held before is charged all the same; what came since is held."""
    log = Log(*((f"w-{number:02}", 1) for number in range(20)))
    log.tell(provisions(), holds(3), conversation("late", log.offset + 2), conversation("w-19", log.offset + 3))
    list(log.slices())
    assert log.charged() == {**{f"w-{number:02}": 1 for number in range(19)}, "w-19": 2, "late": 0}
    log.tell(provisions(4))
    list(log.slices())
    assert log.charged()["late"] == 1


def test_a_touched_workspace_has_its_grant_from_its_first_held_event_on() -> None:
    """And not from the event that touched it, whether that is a message or a notification."""
    log = Log(*((f"w-{number:02}", 2) for number in range(20)))
    first_ms = min(each.first_ms for each in log.wallets.books["w-18"].conversations.values())
    log.tell(provisions(), conversation("w-18", 10**6), alert("w-19", 10**6))
    lots = log.wallets.books["w-18"].wallet.lots.by_id
    assert lots["assumed"].assigned_ms == first_ms
    assert log.charged()["w-19"] == 2


def alert(workspace_id: str, offset: int) -> OccurrenceMetered:
    said: ConversationMetered = conversation(workspace_id, offset)
    names = {each: getattr(said, each) for each in ("workspace_id", "bot_id", "channel", "channel_user_id")}
    return OccurrenceMetered(
        **names, origin_partition=0, origin_offset=offset, produced_ms=0, kind="alert", unit_id="u", at_ms=said.first_ms
    )


def test_logs_of_earlier_versions_keep_their_meaning() -> None:
    """A record that does not say how charges within one input."""
    log = Log(*((f"w-{number:02}", 1) for number in range(20)))
    assert log.tell(provisions(at_once=True)) == 40
    assert log.due == []


def test_a_record_of_an_earlier_version_has_the_seal_that_it_had() -> None:
    """The new field is part of the seal only where it is used, so no outsider can add it."""
    early = provisions(at_once=True)
    now = PolicyInForce(policy=HOLD)
    assert now.refusal_of(early) is None
    assert now.refusal_of(provisions()) is None
    assert now.refusal_of(msgspec.structs.replace(early, charges_held="in_slices")) is not None


@pytest.mark.parametrize("done", range(8))
def test_a_crash_between_slices_changes_nothing(done: int) -> None:
    """The state of any checkpoint goes on like the one that was not interrupted, entry by entry."""
    whole, again = State(HOLD), State(HOLD)
    for state in (whole, again):
        state.tell(*(conversation(f"w-{number % 11:02}", number) for number in range(30)), provisions())
    for _ in range(done):
        again.do_slice()
    again.save()
    restored = again.restarted()
    for state in (whole, restored):
        state.finish_slices()
    assert restored.known() == whole.known()
    assert sum(len(each["conversations"]) for each in restored.known().values()) == 30


def test_a_slice_of_another_partition_is_refused_and_a_repeat_does_nothing() -> None:
    log = Log(*((f"w-{number:02}", 1) for number in range(20)))
    log.tell(provisions())
    first = log.due[0]
    assert isinstance(first, HeldSlice)
    refused = log.wallets.step(msgspec.structs.replace(first, partition=1), log.offset)
    assert isinstance(refused, Rejected)
    assert refused.code == "wrong_partition"
    assert log.tell(log.due.pop(0)) > 0
    assert log.tell(first) == 0

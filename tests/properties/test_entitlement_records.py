"""Records of what a bot may do: after each input the newest one states what the balances of the ledger imply."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from meter.charger.charger import Charger
from meter.core.wallet.answer_reach import step_of
from meter.core.wallet.packed_books import can_be_packed, is_quiet
from meter.core.wallet.wallets import Wallets
from meter.kafka.fetched import Fetched
from meter.stage.fold import Output
from schemas.entitlements import EntitlementRecord, decode_entitlement
from schemas.ledger import LedgerUpdate
from schemas.metered import decode_wallet_input
from schemas.topics import ENTITLEMENTS, WALLET_INPUTS
from tests.oracle.entitlements import Answer, Bot, answer
from tests.packed_records import listed
from tests.properties.pipeline import Turn, driven
from tests.properties.test_packed_books import CHANGES, later, now_and_then, restored
from tests.properties.worlds import HOLD, NOW, POLICY, hard_feeds, steady
from tests.unit.test_entitlement_rules import as_answer

Key = tuple[str, str]
"""Workspace and bot."""


class Pockets:
    """Balances by the entries of the ledger alone: free and shared credit, and what is designated to each bot."""

    def __init__(self) -> None:
        self.micros: defaultdict[Key, int] = defaultdict(int)
        self._owner: dict[Key, str] = {}

    def add(self, update: LedgerUpdate) -> None:
        for entry in update.entries:
            owner: str = entry.lot_kind
            if entry.lot_kind == "designated":
                owner = self._owner.setdefault((update.workspace_id, entry.lot_id), f"bot {entry.bot_id}")
            self.micros[update.workspace_id, owner] += entry.amount_micros

    def bot(self, record: EntitlementRecord, price: int) -> Bot:
        workspace = record.workspace_id
        return Bot(
            plan=record.plan,
            free=self.micros[workspace, "free"],
            designated=self.micros[workspace, f"bot {record.bot_id}"],
            shared=self.micros[workspace, "shared"],
            price=price,
        )


def price_of(wallets: Wallets, record: EntitlementRecord) -> int:
    """The price at the end of all plans: each of them had come when its command arrived."""
    book = wallets.read(record.workspace_id)
    assert book is not None
    own = book.wallet.bots[record.bot_id].plan.terms
    term = (own or book.wallet.plan.terms)[-1]
    inherited = book.wallet.plan.enterprise_micros(term.from_ms) if term.price_micros < 0 else term.price_micros
    assert record.plan == term.plan
    return POLICY.conversation_micros if term.plan == "standard" else inherited or 0


def stepped(expected: Answer) -> Answer:
    """With the first number of the step in place of the number of units."""
    units = None if expected.units is None else step_of(expected.units)[0]
    return Answer(expected.status, expected.why, units, expected.attribution)


def bare(record: EntitlementRecord) -> tuple[object, ...]:
    """What stands for as long as no record says otherwise."""
    units = None if record.allowed_units is None else step_of(record.allowed_units)[0]
    return record.active, record.status, record.reason, record.plan, units, record.attribution


@given(hard_feeds, steady, st.booleans())
def test_after_each_input_the_newest_record_is_what_the_ledger_implies(
    lines: list[bytes], taken: list[Turn], holds: bool
) -> None:
    """Of every bot that has one; and a bot of a workspace that is charged has one."""
    policy = HOLD if holds else POLICY
    log = driven(lines, NOW, taken, policy)
    for partition in range(log.number):
        wallets, pockets = Wallets(policy, partition), Pockets()
        newest: dict[Key, EntitlementRecord] = {}
        for version, record in enumerate(log.topics[WALLET_INPUTS.name, partition]):
            wallets.step(decode_wallet_input(record.value or b""), version)
            for update in wallets.drain_updates(partition, version):
                pockets.add(update)
            for found in wallets.take_entitlements():
                before = newest.get((found.workspace_id, found.bot_id))
                assert before is None or bare(before) != bare(found)
                newest[found.workspace_id, found.bot_id] = found
            for found in newest.values():
                expected = answer(pockets.bot(found, price_of(wallets, found)))
                assert stepped(as_answer(found)) == stepped(expected)
        charged = {name for name in wallets.names() if _is_charged(wallets, name)}
        assert {workspace for workspace, _ in newest} == {name for name in charged if _bots(wallets, name)}
        assert all((name, bot) in newest for name in charged for bot in _bots(wallets, name))


def _is_charged(wallets: Wallets, workspace_id: str) -> bool:
    book = wallets.read(workspace_id)
    return book is not None and book.wallet.status != "unknown"


def _bots(wallets: Wallets, workspace_id: str) -> Iterable[str]:
    book = wallets.read(workspace_id)
    return () if book is None else book.wallet.bots


def standing(partition: int, inputs: Sequence[Fetched], holds: bool) -> list[dict[Key, object]]:
    """After each input, what one pass over them says of each bot."""
    wallets = Wallets(HOLD if holds else POLICY, partition)
    stands: dict[Key, object] = {}
    history: list[dict[Key, object]] = []
    for record in inputs:
        wallets.step(decode_wallet_input(record.value or b""), record.offset)
        for found in wallets.take_entitlements():
            stands[found.workspace_id, found.bot_id] = bare(found)
        history.append(dict(stands))
    return history


@given(hard_feeds, steady, CHANGES, st.integers(0, 2**32), st.booleans())
def test_restarts_batches_and_refreshes_leave_the_same_newest_records(
    lines: list[bytes], taken: list[Turn], changes: list[tuple[str, str, bool]], seed: int, holds: bool
) -> None:
    """Two owners of a partition, each with batches, checkpoints and restarts of its own, in any order of what they
    write: after all of it the record with the highest version of each bot is that of one pass."""
    policy, rng = HOLD if holds else POLICY, Random(seed)
    log = driven(lines, NOW, taken, policy)
    for partition in range(log.number):
        inputs = [*log.topics[WALLET_INPUTS.name, partition]]
        inputs += later(log, partition, changes)
        history = standing(partition, inputs, holds)
        newest: dict[Key, tuple[int, object]] = {}
        ends = rng.randint(0, len(inputs)), len(inputs)
        for end in rng.sample(ends, 2):
            packs = rng.choice((is_quiet, can_be_packed, now_and_then(seed)))
            make_charger = partial(Charger, policy, partition, log.number, packs)
            for found in written(make_charger(), inputs[:end], rng, make_charger):
                key = found.workspace_id, found.bot_id
                assert bare(found) == history[found.version].get(key)
                newest[key] = max(newest.get(key, (-1, None)), (found.version, bare(found)), key=lambda pair: pair[0])
        assert {key: said for key, (_, said) in newest.items()} == (history[-1] if history else {})


def written(
    charger: Charger, inputs: Sequence[Fetched], rng: Random, make_charger: partial[Charger]
) -> list[EntitlementRecord]:
    """All records of a run with checkpoints, restarts from the last of them, and repeats of what came after it."""
    found: list[EntitlementRecord] = []
    at = 0
    while at < len(inputs):
        end = min(len(inputs), at + rng.randint(1, 12))
        if rng.random() < 0.3:
            lost = restored(charger, make_charger)
            found += records(lost.process(inputs[at:end]))
        found += records(charger.process(inputs[at:end]))
        at = end
        if rng.random() < 0.5:
            list(charger.changed())
            found += records(charger.confirm(inputs[at - 1].offset))
            charger = restored(charger, make_charger) if rng.random() < 0.5 else charger
    return found


def records(outputs: Iterable[Output]) -> list[EntitlementRecord]:
    return [
        decode_entitlement(record.value or b"")
        for output in outputs
        if output.topic is ENTITLEMENTS
        for record in listed(output.records)
    ]

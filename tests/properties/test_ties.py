"""What happens at one instant may arrive in any order: the bill is the same (DOMAIN, Ties)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from meter.core.wallet.wallets import Wallets
from meter.kafka.home import home_of
from schemas.ledger import Entry
from schemas.metered import decode_wallet_input
from tests.feeds.lines import DAY_MS, envelope, line, stamp
from tests.oracle.oracle import meter
from tests.properties.money import audit, balances, oracle_totals, totals
from tests.properties.pipeline import STAGES, Turn, metered
from tests.properties.view import View
from tests.properties.worlds import (
    BOTS,
    GAP,
    HOLD,
    HORIZON,
    KINDS,
    NOW,
    POLICY,
    START,
    STEP,
    chat,
    command,
    steady,
)

TIED = "tied"
"""The workspace that all of it is about. It has an Enterprise price, because without one a bot cannot inherit any."""

TERMS = {"workspace_id": TIED, "plan": "enterprise", "session_price_micros": 333_333}
PRICED = line(envelope("billing.plan.changed", START - DAY_MS, "priced", "/console", TERMS))
CREATED = line(envelope("billing.workspace.created", START - DAY_MS, "c", "/console", TERMS | {"free_grant_micros": 0}))
"""Without a free grant, so that what is bought pays for something."""

LAST = chat(START + 8 * GAP, "last", (TIED, "b-1", "web", "u-9"))
"""So late that every grant below has begun, wherever the workspace's clock was when its command arrived."""

NEIGHBOUR = next(name for name in map(str, range(10)) if home_of(name, 2) == home_of(TIED, 2))
"""A workspace in the same partition. Which lots pay for an event of the tied one itself depends on their arrival."""

CLOCK_SET = [Turn(stage, home_of(TIED, 2), records=50, checkpoint=True, feed=1) for stage in STAGES]
"""The event of the neighbour is metered, and its partition's wallets know the time."""

micros = st.integers(1, 10**6)
Data = SearchStrategy[dict[str, Any]]

plans: Data = st.sampled_from(
    [
        {"plan": "standard"},
        *({"plan": "enterprise", "session_price_micros": each} for each in (0, 70_000, 500_001)),
    ]
)
bots: Data = st.sampled_from([{}, *({"bot_id": each} for each in BOTS)])
names: Data = st.fixed_dictionaries({"name": st.sampled_from(("x", "y")), "owner": st.sampled_from(("p", "q"))})


own_plans: Data = st.sampled_from([{}, {"plan": "enterprise"}, {"plan": "enterprise"}]) | plans
grants_of_a_new_one: Data = st.sampled_from([{}, {"free_grant_micros": 450_000}])


def merged(*parts: Data) -> Data:
    """The fields of all parts."""
    return st.tuples(*parts).map(lambda drawn: {key: value for part in drawn for key, value in part.items()})


COMMANDS: dict[str, Data] = {
    "workspace.created": merged(plans, names, grants_of_a_new_one),
    "bot.created": merged(st.sampled_from([{"bot_id": each} for each in BOTS]), names, own_plans),
    "grant.assigned": st.builds(
        lambda amount, steps: {
            "amount_micros": amount,
            **({} if steps is None else {"expires_at": stamp(START + steps * STEP)}),
        },
        micros,
        st.none() | st.integers(4, 12),
    ),
    "credits.purchased": merged(bots, micros.map(lambda amount: {"amount_micros": amount, "method": "card"})),
    "plan.changed": merged(plans, bots),
}
BOT = {"bot_id": "b-1"}
OWN_ID = {"grant.assigned": "grant_id", "credits.purchased": "order_id"}
EVENTS = ("message", "notification")


class Tied(NamedTuple):
    """Lines about one workspace, at few instants."""

    commands: list[bytes]
    events: list[bytes]


def a_command(draw: DrawFn, kind: str, at: int, number: int) -> bytes:
    """A command of a kind. Its (source, id) sorts anywhere among those of the others."""
    data = {"workspace_id": TIED, **draw(COMMANDS[kind])}
    if kind in OWN_ID:
        data[OWN_ID[kind]] = f"own-{number}"
    identity = f"{draw(st.integers(0, 9))}-{number}", draw(st.sampled_from(("/console", "/admin")))
    return line(envelope(f"billing.{kind}", at, *identity, data))


def an_event(draw: DrawFn, kind: str, at: int, number: int) -> bytes:
    """A message of a user, or an event of any other kind."""
    who = TIED, draw(st.sampled_from(BOTS)), "web", draw(st.sampled_from(("u-1", "u-2")))
    what = ("chat.message", "user") if kind == "message" else draw(st.sampled_from(KINDS))
    return chat(at, f"e-{number}", who, *what)


instants = st.integers(0, 3).map(lambda number: START + number * STEP)


@st.composite
def tied(draw: DrawFn, at_once: Sequence[str] = ()) -> Tied:
    """Commands and events, of which those named in `at_once` have one time."""
    at = draw(instants)
    # A second command that creates a workspace is refused: see `test_contradictions.py`.
    more = [kind for kind in COMMANDS if kind != "workspace.created"]
    pairs = [(kind, at) for kind in at_once]
    pairs += draw(st.lists(st.tuples(st.sampled_from(more), instants), max_size=3))
    pairs += draw(st.lists(st.tuples(st.sampled_from(EVENTS), instants), min_size=1, max_size=6))
    # A workspace that no command creates is provisioned, and has more free credit than it can use here.
    is_created = "workspace.created" not in at_once and draw(st.integers(0, 3))
    commands, events = [PRICED, CREATED] if is_created else [PRICED], [LAST]
    for number, (kind, when) in enumerate(pairs):
        if kind in EVENTS:
            events.insert(-1, an_event(draw, kind, when, number))
        else:
            commands.append(a_command(draw, kind, when, number))
    return Tied(commands, events)


def entry_without_number(entry: Entry) -> tuple[object, ...]:
    """An entry apart from its place in the ledger, and from those of others that it names."""
    about = entry.bot_id, entry.kind, entry.unit_id, entry.conversation_id
    return (*about, entry.lot_id, entry.lot_kind, entry.amount_micros, entry.occurred_ms, entry.day)


def bill(found: View) -> tuple[object, ...]:
    """All that a reader of the ledger knows, apart from the numbers of entries."""
    entries = Counter(map(entry_without_number, found.entries.get(TIED, ())))
    return entries, found.conversations, found.usage, found.balances, found.totals


def units(found: View) -> tuple[object, ...]:
    """What was counted and charged, apart from the lots that paid, and how much credit there is in all."""
    usage = {key: (row, row.charged_free + row.charged_paid) for key, row in found.daily().items()}
    for row, _ in usage.values():
        row.charged_free = row.charged_paid = 0
    chains = [found.chains(billable=each) for each in (True, False)]
    return usage, chains, {name: sum(each) for name, each in balances(found).items()}


PAIRS = [*combinations_with_replacement((*COMMANDS, *EVENTS), 2)]
PAIRS.remove(("workspace.created", "workspace.created"))

pairs_of_commands = st.sampled_from([pair for pair in PAIRS if not set(pair) & set(EVENTS)])


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
@settings(max_examples=max(8, settings().max_examples // 15))
@given(st.data())
def test_a_pair_of_one_instant_arrives_in_any_order(pair: tuple[str, str], data: st.DataObject) -> None:
    """Each pair of commands and events, among others, in two orders of arrival, interleaved in any way. What is
    counted, charged and left in all is the same, and the total is the oracle's; also where unknown workspaces are held.
    """
    policy = data.draw(st.sampled_from((POLICY, HOLD)))
    drawn = data.draw(tied(pair))
    lines = [*drawn.commands[1:], *drawn.events[:-1]]
    found = []
    for _ in range(2):
        feed = [PRICED, *data.draw(st.permutations(lines)), LAST]
        found.append(metered(feed, NOW, data.draw(steady), policy))
        expected = meter(feed, NOW, horizon_ms=HORIZON, policy=policy.unknown_workspace)
        assert totals(found[-1]) == oracle_totals(expected)
        audit(found[-1])
        assert not found[-1].dead
    assert units(found[0]) == units(found[1])


@given(pairs_of_commands.flatmap(tied), st.data(), steady, st.booleans())
def test_commands_of_one_instant_give_one_bill_in_any_order(
    drawn: Tied, data: st.DataObject, taken: list[Turn], is_clock_set: bool
) -> None:
    """Where they arrive before the events that they are about, also the lots that pay, and every entry, are the same:
    in a partition without any time, and in one whose clock is before all grants."""
    taken = [*CLOCK_SET, *taken] if is_clock_set else taken
    first = [chat(START - GAP, "first", (NEIGHBOUR, "b-2", "web", "u-9"))] if is_clock_set else []
    found = [
        metered([PRICED, *first, *commands, *drawn.events], NOW, taken, POLICY)
        for commands in (drawn.commands[1:], data.draw(st.permutations(drawn.commands[1:])))
    ]
    assert bill(found[0]) == bill(found[1])


def known(commands: Iterable[bytes]) -> object:
    """What a wallet knows from its commands, apart from the numbers of entries."""
    wallets = Wallets(POLICY)
    for offset, text in enumerate(commands):
        assert wallets.step(decode_wallet_input(text), offset) is None
    wallet = wallets.books[TIED].wallet
    for lot in wallet.lots.by_id.values():
        lot.entry_id = ""
    return msgspec.to_builtins(wallet)


@given(tied(("bot.created", "bot.created", "workspace.created")), st.data())
def test_commands_of_one_instant_give_one_wallet_in_any_order(drawn: Tied, data: st.DataObject) -> None:
    """Plans, lots, balances, names and owners: the last by (time, source, id) names a bot."""
    assert known(drawn.commands) == known([PRICED, *data.draw(st.permutations(drawn.commands[1:]))])


@given(st.permutations(range(4)), st.integers(0, 2), st.sampled_from(("plan.changed", "workspace.created")))
def test_a_bot_inherits_the_price_that_sorts_last(order: list[int], steps: int, kind: str) -> None:
    """Of two prices named for one instant, known before or after the bot and its conversation."""
    at = START + steps * STEP
    terms = {"plan": "enterprise", "session_price_micros": 70_000}
    lines = [
        command("plan.changed", START, "1", TIED, **terms),
        command(kind, START, "2", TIED, **terms | {"session_price_micros": 500_001}),
        command("bot.created", at, "0", TIED, bot_id="b-1", plan="enterprise"),
        chat(at, "said", (TIED, "b-1", "web", "u-1")),
    ]
    found = metered([PRICED, *(lines[number] for number in order)], NOW, (), POLICY)
    assert totals(found) == {TIED: 500_001}


@pytest.mark.parametrize("arrival", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("grant.assigned", {}),
        ("credits.purchased", {"method": "card"}),
        ("credits.purchased", {"method": "card"} | BOT),
    ],
    ids=["grants", "shared", "designated"],
)
def test_of_lots_of_one_term_the_lower_id_pays_first(kind: str, data: dict[str, Any], arrival: tuple[str, str]) -> None:
    """In any order of arrival before the unit. The ids of the commands do not matter."""
    credit = [
        command(kind, START, f"{number}", TIED, amount_micros=400_000, **data, **{OWN_ID[kind]: each})
        for number, each in enumerate(arrival)
    ]
    said = chat(START, "said", (TIED, "b-1", "web", "u-1"))
    found = metered([PRICED, CREATED, *credit, said], NOW, (), POLICY)
    charged = [entry.lot_id for entry in found.entries[TIED] if entry.kind == "charge"]
    assert [lot_id.partition(":")[2] for lot_id in charged] == ["a"]

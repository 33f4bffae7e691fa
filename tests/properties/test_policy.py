"""Policies in the log: each takes effect at its place, however batches are cut and through crashes."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.charger.charger import Charger
from meter.core.policy import Policy
from schemas.ledger import Entry, decode_ledger_update
from schemas.topics import LEDGER, WALLET_INPUTS
from tests.feeds.lines import DAY_MS, HOUR_MS
from tests.oracle.oracle import meter
from tests.packed_records import listed
from tests.properties.memory_log import MemoryLog
from tests.properties.money import audit, totals
from tests.properties.pipeline import Turn, driven
from tests.properties.policies import policy_line
from tests.properties.slices import slices_of
from tests.properties.test_sessionize import chains, undivided
from tests.properties.view import View, view
from tests.properties.worlds import GAP, HOLD, HORIZON, NOW, POLICY, START, STEP, WHO, chat, command, turns

PRICES = (200_000, 30_000, 0)


def changed(number: int, **values: Any) -> bytes:
    """Version `number` + 2 of the policy."""
    return policy_line(number + 2, msgspec.structs.replace(POLICY, **values))


# The late horizon.

steps = st.sampled_from((0, 1, STEP, STEP, GAP, GAP + 1, 2 * GAP, HORIZON))
backs = st.sampled_from((0, 0, 0, STEP, GAP, GAP + 1, HORIZON - 1, HORIZON, HORIZON + 1, 2 * HORIZON, 4 * HORIZON))


@st.composite
def with_horizons(draw: st.DrawFn) -> list[bytes]:
    """Events up to four horizons late, some of them again, and horizons that become longer and shorter."""
    lines: list[bytes] = []
    now, versions = START + 8 * HORIZON, 0
    for number in range(draw(st.integers(2, 25))):
        now += draw(steps)
        if draw(st.integers(0, 4)) == 0:
            lines.append(changed(versions, horizon_ms=draw(st.sampled_from((1, HORIZON // 2, HORIZON, 3 * HORIZON)))))
            versions += 1
        if lines and draw(st.integers(0, 3)) == 0:
            lines.append(draw(st.sampled_from(lines)))
        else:
            lines.append(chat(now - draw(backs), f"e-{number}", draw(st.sampled_from(WHO))))
    return lines


@given(with_horizons(), turns)
def test_a_horizon_changes_at_its_place_and_reaches_back_no_further(lines: list[bytes], taken: list[Turn]) -> None:
    """What was late once stays late; what is remembered is known again; a version that comes again changes nothing."""
    found = view(driven(lines, NOW, taken, POLICY))
    expected = meter(lines, NOW, horizon_ms=HORIZON)
    assert len(found.dead) == len(expected.dead_letters)
    assert {letter.code for letter in found.dead.values()} <= {"late"}
    assert found.chains(billable=True) == chains(expected, billable=True)
    assert found.chains(billable=False) == chains(expected, billable=False)
    assert undivided(found.daily()) == undivided(expected.daily)
    audit(found)


def test_a_repeat_from_before_a_longer_horizon_is_not_charged_again() -> None:
    """Forgotten under 24 hours, and late under 72: the former horizon has given up what lies before it."""
    spoken = [chat(START + hour * HOUR_MS, f"e-{hour}", WHO[0]) for hour in (0, 10, 20, 30, 40)]
    longer = policy_line(2, Policy(horizon_ms=3 * DAY_MS))
    found = view(driven([*spoken, longer, spoken[0], spoken[1], spoken[4]], NOW, (), Policy()))
    assert sum(found.chains(billable=True).values()) == 5
    ((_, letter), (_, other)) = sorted(found.dead.items())
    assert letter.code == other.code == "late"
    assert "it was late before the late horizon became 72 h" in letter.reason


def test_a_longer_horizon_accepts_what_the_former_would_have_refused() -> None:
    """From its place on: as far back as the former one reached there, and further with every hour that passes."""
    first, last = chat(START, "e-0", WHO[0]), chat(START + 3 * HORIZON, "e-1", WHO[0])
    reached = START + 2 * HORIZON
    late = [chat(reached - 1, "late", WHO[1]), chat(reached, "in time", WHO[1])]
    later = chat(START + 4 * HORIZON, "e-2", WHO[0])
    found = view(driven([first, last, changed(0, horizon_ms=3 * HORIZON), later, *late], NOW, (), POLICY))
    assert [letter.reason.split()[1] for letter in found.dead.values()] == ["2025-03-10T00:59:59.999Z"]
    assert sum(found.chains(billable=True).values()) == 4


def test_what_was_late_once_stays_late_after_a_restart() -> None:
    """A checkpoint holds how far back the partition reaches, and not only its horizon."""
    lines = [chat(START, "e-0", WHO[0]), changed(0, horizon_ms=3 * HORIZON), chat(START - HORIZON - 1, "e-1", WHO[0])]
    restart = [Turn("sessionize", number, 99, checkpoint=True, cut=99) for number in (0, 1)]
    found = view(driven(lines, NOW, [Turn(feed=2), *restart], POLICY))
    assert [letter.code for letter in found.dead.values()] == ["late"]


# What a unit costs, who pays for it, and whether it is charged.


def speakers(count: int, workspace: str, workspaces: int = 1) -> list[bytes]:
    """So many conversations, each of another user, in order of time. Those of several workspaces take turns."""
    return [
        chat(START + n * STEP, f"e-{n}", (f"{workspace}{n % workspaces or ''}", "b", "web", f"u-{n}"), actor="user")
        for n in range(count)
    ]


@st.composite
def among_speakers(draw: st.DrawFn, workspace: str, values: Callable[[int], Any], workspaces: int = 1) -> list[bytes]:
    """Conversations, and policies at any places among them."""
    lines: list[bytes] = []
    versions = 0
    for line in speakers(draw(st.integers(1, 12)), workspace, workspaces):
        for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
            lines.append(changed(versions, **values(draw(st.integers(0, 5)))))
            versions += 1
        lines.append(line)
    return lines


def priced(number: int) -> dict[str, Any]:
    order = "paid_first" if number % 2 else "free_first"
    return {"conversation_micros": PRICES[number // 2], "debit_order": order}


def paid(found: View, workspace: str) -> dict[str, set[tuple[str, int]]]:
    """What each user's conversation was charged in the end: which kind of credit, and how much of it."""
    users = {each: fact.channel_user_id for (_, each), fact in found.conversations.items()}
    undone = {entry.reverses for entry in found.entries.get(workspace, [])}
    charges: dict[str, set[tuple[str, int]]] = {user: set() for user in users.values()}
    for entry in found.entries.get(workspace, []):
        if entry.kind == "charge" and entry.entry_id not in undone:
            charges[users[entry.conversation_id]].add((entry.lot_kind, -entry.amount_micros))
    return charges


@given(among_speakers("rich", priced), turns)
def test_price_and_debit_order_are_those_at_the_place_of_the_charge(lines: list[bytes], taken: list[Turn]) -> None:
    """Each conversation costs, and is paid by, what the policy before it says, through any cut and crash."""
    rich = [
        command("workspace.created", START - DAY_MS, "c-1", "rich", plan="standard"),
        command("credits.purchased", START - DAY_MS, "c-2", "rich", order_id="o", amount_micros=10**9, method="card"),
    ]
    found = view(driven([*rich, *lines], NOW, taken, POLICY))
    expected, price, kind = {}, 200_000, "free"
    for line in map(msgspec.json.decode, lines):
        if line["type"] == "meter.policy":
            price, kind = line["conversation_micros"], "shared" if line["debit_order"] == "paid_first" else "free"
        else:
            expected[line["data"]["channel_user_id"]] = {(kind, price)} if price else set()
    assert paid(found, "rich") == expected
    audit(found)


def unknown(number: int) -> dict[str, Any]:
    return {"unknown_workspace": "hold" if number % 2 else "provision"}


@given(among_speakers("stranger", unknown, 3), st.sampled_from(("hold", "provision")), turns, st.integers(1, 3))
def test_what_was_held_is_charged_once_it_is_not_held_any_more(
    lines: list[bytes], first: Any, taken: list[Turn], size: int
) -> None:
    """All units of a workspace are charged, once each, from the first time on that it is provisioned; before, none.

    So it is in slices of any size, and if the policy holds again before the last slice.
    """
    with slices_of(size):
        found = view(driven(lines, NOW, taken, msgspec.structs.replace(POLICY, unknown_workspace=first)))
    now, provisioned, spoken = first, set[str](), Counter[str]()
    for line in map(msgspec.json.decode, lines):
        if line["type"] == "meter.policy":
            now = line["unknown_workspace"]
        else:
            spoken[line["data"]["workspace_id"]] += 1
        provisioned |= set(spoken) if now == "provision" else set()
    for workspace_id, number in spoken.items():
        users = {fact.channel_user_id for (name, _), fact in found.conversations.items() if name == workspace_id}
        charges = Counter(len(each) for user, each in paid(found, workspace_id).items() if user in users)
        assert charges == {int(workspace_id in provisioned): number}
    audit(found)


@given(st.integers(1, 16), st.integers(0, 17), turns, st.integers(1, 3))
def test_all_that_was_held_is_charged_in_slices(count: int, at: int, taken: list[Turn], size: int) -> None:
    """Of three workspaces, some with more conversations than a slice, wherever the policy comes among them.

    At the end all of their conversations are closed, so that nothing touches them any more.
    """
    lines = speakers(count, "stranger", 3)
    lines.append(chat(START + count * STEP + 2 * GAP, "last", ("other", "b", "web", "u")))
    lines.insert(at, changed(0, unknown_workspace="provision"))
    with slices_of(size):
        found = view(driven(lines, NOW, taken, HOLD))
    spoken = Counter(f"stranger{number % 3 or ''}" for number in range(count)) + Counter(["other"])
    assert totals(found) == {workspace_id: number * 200_000 for workspace_id, number in spoken.items()}
    audit(found)


@given(among_speakers("stranger", lambda n: priced(n) | unknown(n // 2), 3), turns, st.integers(1, 9))
def test_the_log_of_wallets_read_again_gives_the_same_history(lines: list[bytes], taken: list[Turn], size: int) -> None:
    """Entry by entry: number, unit, lot and amount, for any batches of the second reading."""
    bought = {"order_id": "o", "amount_micros": 900_001, "method": "card"}
    with slices_of(1):
        log = driven([command("credits.purchased", START, "c-2", "stranger", **bought), *lines], NOW, taken, POLICY)
        again = read_again(log, size)
    first = {entry.entry_id: entry for entries in view(log).entries.values() for entry in entries}
    assert again == first


def read_again(log: MemoryLog, size: int) -> dict[str, Entry]:
    """The entries that new chargers make of the log of wallets, by id."""
    again: dict[str, Entry] = {}
    for partition in range(log.number):
        charger, inputs = Charger(POLICY, partition, log.number), log.topics[WALLET_INPUTS.name, partition]
        for at in range(0, len(inputs), size):
            for output in charger.process(inputs[at : at + size]):
                for record in listed(output.records) if output.topic is LEDGER else ():
                    again |= {each.entry_id: each for each in decode_ledger_update(record.value or b"").entries}
    return again


@pytest.mark.parametrize("stage", ["sessionize", "charge"])
def test_a_checkpoint_holds_the_policy_in_force(stage: Any) -> None:
    """The record that put it in force may have been deleted since: it is not read again."""
    lines = speakers(3, "stranger")
    policy = changed(0, conversation_micros=30_000)
    restarts = [Turn(stage, number, 99, checkpoint=True, cut=99) for number in (0, 1)]
    taken = [Turn("sessionize", number, 99, checkpoint=True, feed=9 if number == 0 else 0) for number in (0, 1)]
    found = view(driven([policy, *lines], NOW, [*taken, *restarts, *restarts], POLICY))
    assert set(map(str, paid(found, "stranger").values())) == {"{('free', 30000)}"}

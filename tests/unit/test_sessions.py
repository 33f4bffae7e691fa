"""Conversations, sessions and plans, cases worked out by hand from DOMAIN."""

import pytest

from meter.core.decode import read
from meter.core.rejection import Rejected
from meter.core.sessions.outcomes import ConversationTouched
from meter.core.sessions.sessionize import Sessions
from meter.core.sessions.updates import MeteredUpdates
from schemas.events import decode_event
from schemas.metered import ConversationMetered
from tests.oracle.build import CENT_20, ENTERPRISE, HOUR, MIN, NOW, STANDARD, T0, chat, command, stamp
from tests.unit.wallet_harness import GAP, WalletHarness, charged, fresh_sessions, moved

SECOND = 1_000


def told(sessions: Sessions, *lines: bytes, offset: int = 0) -> list[ConversationMetered]:
    """What one batch of lines has to tell the wallets of conversations."""
    updates = MeteredUpdates(0, sessions.policy.gap_ms)
    for number, line in enumerate(lines, offset):
        outcome = sessions.step(read(line, decode_event), NOW)  # type: ignore[arg-type]
        if isinstance(outcome, ConversationTouched):
            updates.touched(outcome, number, 0)
        for key, conversation in sessions.advance():
            updates.closed(key, conversation, number, 0)
    return [each for each in updates.drain() if isinstance(each, ConversationMetered)]


@pytest.mark.parametrize(
    ("length", "sessions"),
    [
        (0, 1),
        (1, 1),
        (15 * MIN - 1, 1),
        (15 * MIN, 1),
        (15 * MIN + 1, 2),
        (30 * MIN, 2),
        (30 * MIN + 1, 3),
        (31 * MIN, 3),
        (60 * MIN, 4),
    ],
)
def test_blocks_of_a_conversation(length: int, sessions: int) -> None:
    """DOMAIN, Metering 3: max(1, ceil(length / 15 min)), on a grid anchored at the first message."""
    times = [*range(0, length, 10 * MIN), length]
    (metered,) = told(fresh_sessions(), *(chat(at) for at in dict.fromkeys(times)))
    assert (metered.first_ms, metered.last_ms, metered.sessions) == (T0, T0 + length, sessions)
    wallet = WalletHarness(ENTERPRISE)
    assert charged(wallet.tell(metered)) == [("overdraft", 100_000)] * sessions


@pytest.mark.parametrize(
    ("gap", "conversations"), [(0, 1), (15 * MIN - 1, 1), (15 * MIN, 1), (15 * MIN + 1, 2), (HOUR, 2)]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_gap_to_the_millisecond(gap: int, conversations: int, reverse: bool) -> None:
    """DOMAIN, Metering 2: at most 15:00.000 apart is one; 15:00.001 starts another. In either order of arrival."""
    lines = [chat(0, id="a"), chat(gap, id="b")]
    metered = told(fresh_sessions(), *(reversed(lines) if reverse else lines))
    assert len({each.conversation_id for each in metered}) == conversations


@pytest.mark.parametrize(
    ("actors", "billable"),
    [
        (("user",), True),
        (("bot",), False),
        (("bot", "bot"), False),
        (("bot", "user"), True),
        (("user", "bot"), True),
        (("agent", "developer"), None),
    ],
)
def test_which_actors_open_and_bill_a_conversation(actors: tuple[str, ...], billable: bool | None) -> None:
    """DOMAIN, Metering 1: a user message bills, whole; bots alone never; agents and developers open nothing."""
    sessions = fresh_sessions()
    lines = [chat(number * SECOND, actor) for number, actor in enumerate(actors)]
    metered = told(sessions, *lines, chat(HOUR, "bot", user="other"))
    own = [each for each in metered if each.channel_user_id == "u"]
    assert len(own) == (0 if billable is None else 1)
    assert all((each.requests > 0) is billable for each in own)
    assert all(each.messages == len(actors) for each in own)


def test_a_monologue_becomes_billable_whole_when_a_user_joins_it() -> None:
    """DOMAIN, Metering 1: from its first message, though that was a bot's."""
    (metered,) = told(fresh_sessions(), chat(0, "bot"), chat(10 * MIN, "bot"), chat(20 * MIN))
    assert (metered.first_ms, metered.sessions, metered.requests) == (T0, 2, 1)


@pytest.mark.parametrize("actor", ["agent", "developer"])
def test_recorded_messages_do_not_extend(actor: str) -> None:
    """DOMAIN, Metering 1: an agent between two messages does not join them."""
    metered = told(fresh_sessions(), chat(0), chat(10 * MIN, actor), chat(20 * MIN))
    assert {each.last_ms - T0 for each in metered} == {0, 20 * MIN}


def test_a_conversation_keeps_the_id_of_its_first_arrival() -> None:
    """Also when an earlier message turns up; and one that was bridged away names where it went."""
    sessions = fresh_sessions()
    (opened,) = told(sessions, chat(10 * MIN))
    (earlier,) = told(sessions, chat(0), offset=1)
    assert (earlier.conversation_id, earlier.opened_ms) == (opened.conversation_id, T0 + 10 * MIN)
    later, _ = told(sessions, chat(25 * MIN + 1), offset=2)
    absorbed, kept = told(sessions, chat(20 * MIN), offset=3)
    assert (absorbed.conversation_id, absorbed.state) == (later.conversation_id, "absorbed")
    assert (absorbed.requests, absorbed.messages, absorbed.sessions) == (0, 0, 0)
    assert (absorbed.absorbed_into, kept.conversation_id) == (opened.conversation_id, opened.conversation_id)
    assert (kept.first_ms - T0, kept.last_ms - T0, kept.requests) == (0, 25 * MIN + 1, 4)


@pytest.mark.parametrize(("silence", "state"), [(GAP, "open"), (GAP + 1, "closed")])
def test_a_conversation_closes_after_the_gap(silence: int, state: str) -> None:
    """At 15:00.000 of silence a message may still join; a millisecond later none can that comes in order."""
    metered = told(fresh_sessions(), chat(0), chat(silence, "agent"))
    assert [each.state for each in metered] == [state]


def test_requests_are_published_when_the_conversation_closes() -> None:
    """DOMAIN, Words: and again if a late message adds one."""
    wallet, sessions = WalletHarness(STANDARD), fresh_sessions()
    for each in told(sessions, chat(0), chat(MIN)):
        wallet.tell(each)
    (fact,) = wallet.facts.values()
    assert (fact.state, fact.requests) == ("open", 0)
    for each in told(sessions, chat(HOUR, "agent"), offset=2):
        wallet.tell(each)
    (fact,) = wallet.facts.values()
    assert (fact.state, fact.requests, fact.messages) == ("closed", 2, 2)
    for each in told(sessions, chat(2 * MIN), offset=3):
        wallet.tell(each)
    (fact,) = wallet.facts.values()
    assert (fact.state, fact.requests, fact.messages) == ("closed", 3, 3)


def test_an_enterprise_block_is_charged_when_it_is_first_reached() -> None:
    """DOMAIN, Debit order 3: one entry a block, at the block's start, and none twice."""
    wallet = WalletHarness(ENTERPRISE)
    made = [wallet.conversation(0, last, requests=2) for last in (0, 15 * MIN, 15 * MIN + 1, 30 * MIN, 31 * MIN)]
    assert [len(entries) for entries in made] == [1, 0, 1, 0, 1]
    assert [entry.occurred_ms - T0 for entry in wallet.entries] == [0, 15 * MIN, 30 * MIN]
    assert [entry.unit_id for entry in wallet.entries] == ["c/0", "c/1", "c/2"]


def test_a_first_message_moved_across_a_change_of_plan_is_billed_again() -> None:
    """DOMAIN, Prices: reversed by the old plan, charged by the one in force at the new first message."""
    change = command("plan.changed", 0, plan="enterprise", session_price_micros=70_000)
    wallet = WalletHarness(STANDARD, change)
    assert charged(wallet.conversation(5 * MIN, 25 * MIN)) == [("overdraft", 70_000)] * 2
    assert moved(wallet.conversation(-1, 25 * MIN, requests=2)) == [
        ("reversal", "overdraft", 70_000),
        ("reversal", "overdraft", 70_000),
        ("charge", "overdraft", -CENT_20),
    ]
    assert wallet.facts["c"].plan == "standard"


def test_a_change_of_plan_that_comes_late_bills_again() -> None:
    """DOMAIN, Prices: the command's own time counts; what began before it stays as it was."""
    wallet = WalletHarness(STANDARD)
    wallet.conversation(-1, id="before")
    wallet.conversation(0, 20 * MIN, id="after")
    assert moved(wallet.command("plan.changed", 0, plan="enterprise", session_price_micros=70_000)) == [
        ("reversal", "overdraft", CENT_20),
        ("charge", "overdraft", -70_000),
        ("charge", "overdraft", -70_000),
    ]
    assert {fact.conversation_id: fact.plan for fact in wallet.facts.values()} == {
        "before": "standard",
        "after": "enterprise",
    }


def test_a_bots_own_plan_bills_that_bot_alone_from_its_own_time() -> None:
    """DOMAIN, Words."""
    wallet = WalletHarness(STANDARD, command("bot.created", 0, bot_id="b", plan="enterprise", session_price_micros=1))
    assert charged(wallet.conversation(-1, id="1")) == [("overdraft", CENT_20)]
    assert charged(wallet.conversation(0, id="2")) == [("overdraft", 1)]
    assert charged(wallet.conversation(0, id="3", bot="other")) == [("overdraft", CENT_20)]


def test_a_bot_on_enterprise_inherits_the_workspaces_price() -> None:
    """Unless its command names one."""
    wallet = WalletHarness(ENTERPRISE, command("bot.created", 0, bot_id="b", plan="enterprise"))
    assert charged(wallet.conversation(0)) == [("overdraft", 100_000)]


def test_older_news_of_a_conversation_changes_nothing() -> None:
    """A superseded worker tells how it stood before: what is known is newer, to the message."""
    wallet, sessions = WalletHarness(ENTERPRISE), fresh_sessions()
    older, newer = told(sessions, chat(0)) + told(sessions, chat(10 * MIN), chat(20 * MIN), offset=1)
    wallet.tell(newer)
    known = dict(wallet.facts)
    for each in (older, newer):
        assert wallet.tell(each) == []
        assert wallet.facts == known


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        ("9999-12-31T23:59:59-14:00", "future", "9999-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00+14:00", "too_old", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_time_outside_the_calendar_is_refused(text: str, code: str, shown: str) -> None:
    """DOMAIN, Metering 6: an offset may lead out of the years 1 to 9999. That ends no worker."""
    event = read(chat(0).replace(stamp(T0).encode(), text.encode()), decode_event)
    outcome = fresh_sessions().step(event, NOW)  # type: ignore[arg-type]
    assert isinstance(outcome, Rejected)
    assert outcome.code == code
    assert outcome.reason.startswith(f"time: {shown} is ")

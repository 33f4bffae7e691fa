"""Units, worked out by hand from DOMAIN: these cases judge the oracle before it judges the product."""

import pytest

from tests.oracle.build import CENT_20, DAY, ENTERPRISE, HOUR, MIN, STANDARD, T0, chat, command, run, spans, stamp
from tests.oracle.oracle import Usage, merged, meter


@pytest.mark.parametrize(
    ("seconds", "sessions"),
    [
        ([0], 1),
        ([0, 900], 1),
        ([0, 900, 900.001], 2),
        ([0, 900, 1800], 2),
        ([0, 900, 1800, 1800.001], 3),
        ([0, 600, 1200, 1860], 3),
    ],
)
def test_a_session_is_every_15_minutes_from_the_first_message(seconds: list[float], sessions: int) -> None:
    """DOMAIN, Metering 3: 31 minutes = 3; exactly 15:00.000 = 1; 15:00.001 = 2; exactly 30:00.000 = 2."""
    result = run(*[chat(round(s * 1000)) for s in seconds])
    assert [c.sessions for c in result.conversations] == [sessions]


def test_a_gap_of_15_minutes_is_the_same_conversation_and_a_millisecond_more_is_not() -> None:
    """DOMAIN, Metering 2."""
    assert spans(run(chat(0), chat(900_000))) == [(0, 900_000, 1)]
    assert spans(run(chat(0), chat(900_001))) == [(0, 0, 1), (900_001, 900_001, 1)]


def test_a_bots_monologue_is_unbilled_until_a_user_joins_it_then_billed_whole() -> None:
    """DOMAIN, Metering 1."""
    alone = run(chat(0, "bot"), chat(10 * MIN, "bot"))
    assert (len(alone.chains), alone.conversations, alone.daily) == (1, [], {})
    joined = run(chat(0, "bot"), chat(10 * MIN, "bot"), chat(20 * MIN))
    assert spans(joined) == [(0, 20 * MIN, 2)]
    assert (joined.conversations[0].messages, joined.conversations[0].requests) == (3, 1)


def test_a_bridge_makes_one_conversation_of_two() -> None:
    """DOMAIN, Metering 5: in any order of arrival."""
    assert spans(run(chat(0), chat(20 * MIN))) == [(0, 0, 1), (20 * MIN, 20 * MIN, 1)]
    assert spans(run(chat(0), chat(20 * MIN), chat(10 * MIN, "bot"))) == [(0, 20 * MIN, 2)]


@pytest.mark.parametrize("actor", ["agent", "developer"])
def test_agents_and_developers_neither_open_nor_extend_a_conversation(actor: str) -> None:
    """DOMAIN, Metering 1: recorded only."""
    result = run(chat(-MIN, actor), chat(0), chat(10 * MIN, actor), chat(20 * MIN))
    assert spans(result) == [(0, 0, 1), (20 * MIN, 20 * MIN, 1)]
    assert (result.totals.agent, result.totals.developer) == ((2, 0) if actor == "agent" else (0, 2))
    assert result.totals.total_units == 4


def test_an_interaction_is_of_one_workspace_bot_channel_and_user() -> None:
    """DOMAIN, Words: four keys, four conversations at one instant."""
    others = [chat(0, bot="b2"), chat(0, channel="sms", id="x"), chat(0, user="v", id="y"), chat(0, ws="w2")]
    assert len(run(chat(0), *others).conversations) == 5


def test_notifications_are_units_of_their_own_and_touch_no_conversation() -> None:
    """DOMAIN, Words: one unit each, on their own day; price 0 by default."""
    notices = [chat(10 * MIN, "bot", kind="notification.proactive"), chat(DAY, "bot", kind="notification.alert")]
    result = run(chat(0), notices[0], chat(20 * MIN), notices[1])
    assert len(result.conversations) == 2
    assert [row.total_units for row in result.daily.values()] == [5, 1]
    assert (result.totals.proactive, result.totals.alert, result.totals.charged_free) == (1, 1, 2 * CENT_20)


def test_a_conversation_over_midnight_belongs_to_the_day_of_its_first_message() -> None:
    """DOMAIN, Metering 4: with all its sessions and requests."""
    midnight = 15 * HOUR
    result = run(chat(midnight - 1), chat(midnight + 10 * MIN), chat(midnight + 20 * MIN))
    assert list(result.daily) == [("w", "b", stamp(T0)[:10])]
    assert result.totals == Usage(1, 2, 3, total_units=4, charged_free=CENT_20)


def test_total_units_are_requests_plus_what_the_plan_counts() -> None:
    """DOMAIN, Words: conversations on Standard, sessions on Enterprise, both metered on either."""
    messages = [chat(0), chat(15 * MIN), chat(30 * MIN), chat(31 * MIN)]
    assert run(STANDARD, *messages).totals == Usage(1, 3, 4, total_units=5, charged_paid=200_000)
    assert run(ENTERPRISE, *messages).totals == Usage(1, 3, 4, total_units=7, charged_paid=300_000)


def test_the_first_of_two_events_with_one_id_stands() -> None:
    """DOMAIN, Metering 7: a copy is a duplicate, another content a conflict, another workspace another event."""
    result = run(chat(0, id="e"), chat(0, id="e"), chat(HOUR, id="e"), chat(HOUR, id="e", ws="w2"))
    assert (result.duplicates, result.conflicts, result.dead_letters) == ([1], [2], [])
    assert [(c.key[0], c.first - T0) for c in result.conversations] == [("w", 0), ("w2", HOUR)]


def test_an_extra_field_makes_no_conflict() -> None:
    """Only what is metered is compared."""
    assert run(chat(0, id="e"), chat(0, id="e", traceparent="x")).duplicates == [1]


def test_later_than_the_horizon_is_refused_whole() -> None:
    """DOMAIN, Metering 6: exactly 24 h is in time; the horizon is the whole feed's."""
    feed = [chat(DAY + HOUR, ws="other"), chat(HOUR), chat(HOUR - 1), chat(DAY + HOUR, ws="other")]
    result = run(*feed)
    assert [(letter.line, letter.code, letter.field) for letter in result.dead_letters] == [(2, "late", "time")]
    assert result.duplicates == [3]
    assert run(*feed, horizon_ms=None).dead_letters == []


def test_a_copy_is_a_duplicate_within_the_horizon_and_late_beyond_it() -> None:
    """The id of an event is remembered for as long as the event itself could still arrive."""
    result = run(chat(0), chat(DAY), chat(0), chat(DAY + 1), chat(0))
    assert result.duplicates == [2]
    assert [(letter.line, letter.code) for letter in result.dead_letters] == [(4, "late")]


def test_more_than_5_minutes_in_the_future_is_refused_and_moves_no_clock() -> None:
    """DOMAIN, Metering 6."""
    feed = [chat(5 * MIN, user="v"), chat(5 * MIN + 1), chat(0)]
    result = meter(feed, T0)
    assert [(letter.line, letter.code, letter.field) for letter in result.dead_letters] == [(1, "future", "time")]
    assert result.end == T0 + 5 * MIN


def test_feeds_are_merged_by_time_and_a_broken_line_stays_after_the_line_before_it() -> None:
    """The first feed goes first at one instant, so that a command precedes what it is for."""
    accounts, traffic = [b"c0", command("bot.created", HOUR, bot_id="b")], [chat(0), b"?", chat(HOUR), chat(2)]
    assert merged(accounts, traffic) == [b"c0", *traffic[:2], accounts[1], *traffic[2:]]

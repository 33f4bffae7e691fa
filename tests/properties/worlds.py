"""Small feeds that hypothesis can shrink: few people, many boundaries.

Times lie on a grid of a third of the gap, sometimes a millisecond off, so that gaps of exactly 15:00.000 and 15:00.001
are common. The horizon is two hours, so that a feed of six sees state forgotten.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from meter.core.policy import Policy
from tests.feeds.lines import DAY_MS, HOUR_MS, MINUTE_MS, chat_data, envelope, line, millis, stamp
from tests.properties.pipeline import Turn

START = millis(2025, 3, 9) + 21 * HOUR_MS
"""Three hours before midnight: conversations cross it."""
NOW = START + 300 * DAY_MS
GAP = 15 * MINUTE_MS
HORIZON = 2 * HOUR_MS
STEP = GAP // 3
STEPS = 6 * HOUR_MS // STEP
POLICY = Policy(horizon_ms=HORIZON)
HOLD = Policy(horizon_ms=HORIZON, unknown_workspace="hold")

Who = tuple[str, str, str, str]
"""(workspace, bot, channel, channel user)."""

STANDARD, ENTERPRISE, STRANGER = "standard", "enterprise", "stranger"
BOTS = ("b-1", "b-2")
STRANGERS = (("stranger", "b-1", "web", "u-1"), ("stranger", "b-2", "web", "u-1"))
WHO = tuple((ws, bot, "web", user) for ws, bot, user in (
    (STANDARD, "b-1", "u-1"),
    (STANDARD, "b-1", "u-2"),
    (STANDARD, "b-2", "u-1"),
    (ENTERPRISE, "b-1", "u-1"),
    (ENTERPRISE, "b-2", "u-1"),
    (STRANGER, "b-1", "u-1"),
))  # fmt: skip
KINDS = (
    *[("chat.message", "user")] * 5,
    *[("chat.message", "bot")] * 4,
    ("chat.message", "agent"),
    ("chat.message", "developer"),
    ("chat.notification.proactive", "bot"),
    ("chat.notification.alert", "bot"),
)


@dataclass(frozen=True)
class Arrival:
    """A line and the event time that the world has come to, at the latest, when it arrives."""

    due: int
    text: bytes


def chat(at: int, event_id: str, who: Who, kind: str = "chat.message", actor: str = "user") -> bytes:
    """One chat event."""
    return line(envelope(kind, at, event_id, "/runtime", chat_data(*who, actor)))


def command(kind: str, at: int, command_id: str, workspace: str, **data: Any) -> bytes:
    """One account command."""
    return line(envelope(f"billing.{kind}", at, command_id, "/console", {"workspace_id": workspace, **data}))


def accounts() -> list[bytes]:
    """Two wallets, each with a little of everything. The third workspace is a stranger."""
    before = START - DAY_MS
    bought = {"amount_micros": 300_001, "method": "card"}
    return [
        command("workspace.created", before, "c-1", STANDARD, plan="standard", free_grant_micros=900_001),
        command("credits.purchased", before, "c-2", STANDARD, order_id="o-1", bot_id="b-1", **bought),
        command("credits.purchased", before, "c-3", STANDARD, order_id="o-2", **bought),
        command("workspace.created", before, "c-1", ENTERPRISE, plan="enterprise", session_price_micros=333_333),
        command("grant.assigned", before, "c-2", ENTERPRISE, grant_id="g-1", amount_micros=1_500_000),
        command("credits.purchased", before, "c-3", ENTERPRISE, order_id="o-1", **bought),
    ]


times = st.builds(
    lambda step, jitter: START + step * STEP + jitter, st.integers(0, STEPS), st.sampled_from((0, 0, 0, 1, -1))
)
delays = st.sampled_from((0, 0, 0, STEP, GAP, HOUR_MS, HORIZON))
"""By how much of event time a line comes too late; none is later than the horizon allows."""


@st.composite
def chats(
    draw: DrawFn, *, least: int = 1, most: int = 30, in_order: bool = False, who: tuple[Who, ...] = WHO
) -> list[Arrival]:
    """Chat events, each once or more."""
    drawn = draw(
        st.lists(
            st.tuples(times, st.sampled_from(who), st.sampled_from(KINDS), delays, st.none() | delays),
            min_size=least,
            max_size=most,
        )
    )
    arrivals: list[Arrival] = []
    for number, (at, one, (kind, actor), delay, again) in enumerate(drawn):
        text = chat(at, f"e-{number}", one, kind, actor)
        arrivals.append(Arrival(at if in_order else at + delay, text))
        if again is not None:
            arrivals.append(Arrival(at + again, text))
    return arrivals


def plan_changes() -> SearchStrategy[list[Arrival]]:
    """Of a workspace or of one of its bots, known early or late, but while what they change is still remembered."""

    def change(number: int, drawn: tuple[Any, ...]) -> Arrival:
        at, workspace, bot, price, delay = drawn
        plan = {"plan": "standard"} if price is None else {"plan": "enterprise", "session_price_micros": price}
        about = plan if bot is None else plan | {"bot_id": bot}
        return Arrival(at + delay, command("plan.changed", at, f"p-{number}", workspace, **about))

    one = st.tuples(
        times,
        st.sampled_from((STANDARD, ENTERPRISE)),
        st.none() | st.sampled_from(BOTS),
        st.sampled_from((None, 0, 70_000, 500_001)),
        delays,
    )
    return st.lists(one, max_size=3).map(lambda drawn: [change(*each) for each in enumerate(drawn)])


def purchases() -> SearchStrategy[list[Arrival]]:
    """Paid credit on the way."""

    def purchase(number: int, drawn: tuple[Any, ...]) -> Arrival:
        at, workspace, bot, amount = drawn
        about = {} if bot is None else {"bot_id": bot}
        order = {"order_id": f"late-{number}", "amount_micros": amount, "method": "card"}
        return Arrival(at, command("credits.purchased", at, f"b-{number}", workspace, **order, **about))

    one = st.tuples(
        times, st.sampled_from((STANDARD, ENTERPRISE)), st.none() | st.sampled_from(BOTS), st.integers(1, 10**6)
    )
    return st.lists(one, max_size=3).map(lambda drawn: [purchase(*each) for each in enumerate(drawn)])


def grants() -> SearchStrategy[list[Arrival]]:
    """Free credit that begins and ends among the events."""

    def grant(number: int, drawn: tuple[Any, ...]) -> Arrival:
        at, length, workspace, amount, delay = drawn
        given = {"grant_id": f"near-{number}", "amount_micros": amount, "expires_at": stamp(at + length * STEP)}
        return Arrival(at + delay, command("grant.assigned", at, f"g-{number}", workspace, **given))

    one = st.tuples(
        times,
        st.integers(1, STEPS // 2),
        st.sampled_from((STANDARD, ENTERPRISE)),
        st.integers(1, 10**6),
        delays,
    )
    return st.lists(one, max_size=3).map(lambda drawn: [grant(*each) for each in enumerate(drawn)])


def arranged(*groups: list[Arrival]) -> list[bytes]:
    """The accounts, then all lines in order of arrival."""
    arrivals = sorted((each for group in groups for each in group), key=lambda each: each.due)
    return [*accounts(), *(each.text for each in arrivals)]


feeds = st.builds(arranged, chats(), plan_changes(), purchases())
"""Feeds in which nothing comes too late, with plans that change and with grants far from every event."""

feeds_in_order = st.builds(arranged, chats(in_order=True))
"""Feeds by time. Lines that repeat come later."""

instants = st.integers(0, 6).map(lambda number: START + number * 2 * GAP)
"""So few that things happen at the same one, and so far apart that each message is a conversation."""


def _on_the_instant(spoken: list[tuple[int, int, Who]], given: list[tuple[int, int]], micros: int) -> list[bytes]:
    grants = [
        Arrival(min(span), command("grant.assigned", min(span), f"g-{number}", STANDARD, **data))
        for number, span in enumerate(given)
        for data in [{"grant_id": f"{number}", "amount_micros": micros + number, "expires_at": stamp(max(span))}]
        if span[0] != span[1]
    ]
    said = [Arrival(at + late, chat(at, f"e-{number}", who)) for number, (at, late, who) in enumerate(spoken)]
    return arranged(grants, said)


def on_the_instant(lateness: SearchStrategy[int], grant_micros: int) -> SearchStrategy[list[bytes]]:
    """Feeds in which grants begin and end exactly at a message, which arrives so much later."""
    spoken = st.tuples(instants, lateness, st.sampled_from(WHO[:3]))
    return st.builds(
        _on_the_instant,
        st.lists(spoken, min_size=1, max_size=12),
        st.lists(st.tuples(instants, instants), min_size=1, max_size=3),
        st.just(grant_micros),
    )


hard_feeds = st.builds(arranged, chats(), plan_changes(), purchases(), grants())
"""Feeds in which grants begin, end and come to light among the events: what holds of them holds of any."""

turn = st.builds(
    Turn,
    stage=st.sampled_from(("sessionize", "charge")),
    partition=st.integers(0, 1),
    records=st.sampled_from((1, 2, 3, 7, 50)),
    checkpoint=st.booleans(),
    cut=st.none() | st.integers(0, 12),
    zombie=st.booleans(),
    wake=st.booleans(),
    order=st.integers(0, 3),
    feed=st.sampled_from((0, 1, 2, 5)),
)
turns = st.lists(turn, max_size=25)
"""What workers do until the feed is drained: batches, checkpoints, crashes between any two effects, zombies."""

steady = st.lists(
    st.builds(
        Turn,
        stage=st.sampled_from(("sessionize", "charge")),
        partition=st.integers(0, 1),
        records=st.sampled_from((1, 2, 3, 7, 50)),
        checkpoint=st.booleans(),
        feed=st.sampled_from((0, 1, 2, 5)),
    ),
    max_size=25,
)
"""Turns in which nothing goes wrong."""

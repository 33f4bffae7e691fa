"""A seeded generator of hard feeds: gaps on the boundary, ties, all actors, notifications, account commands."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.feeds.lines import DAY_MS, HOUR_MS, MINUTE_MS, chat_data, envelope, line, millis, stamp

START_MS = millis(2026, 9, 1)
GAP_MS = 15 * MINUTE_MS
FAR_MS = 40 * DAY_MS
"""How far from any event a far grant begins and ends; the 90 days of a first grant leave room for 10 days of feed."""

# Some ids are chosen so that joining them by a colon would confuse two keys; one is not ASCII.
WORKSPACES = ("standard", "prepaid", "enterprise", "granted", "mixed", "stranger", "café:1", "café")
BOTS = ("bot", "1:bot", "b-2")
CHANNELS = ("web", "sms", "ivr")


@dataclass
class World:
    """One feed in the making: (time, 0 for a command or 1 for an event, record)."""

    rng: Random
    start: int
    days: int
    far_grants: bool
    timed: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    counters: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return self.start + self.days * DAY_MS

    def next_id(self, workspace: str, source: str) -> str:
        """Ids count per workspace and source, so that the same id means another event elsewhere."""
        number = self.counters[workspace, source] = self.counters.get((workspace, source), 0) + 1
        return f"m-{number}"

    def event(self, kind: str, at: int, data: dict[str, Any]) -> None:
        source = f"/runtime/{self.rng.randrange(2)}"
        record = envelope(kind, at, self.next_id(data["workspace_id"], source), source, data)
        self.timed.append((at, 1, self._dressed(record, at)))

    def command(self, kind: str, at: int, workspace: str, **data: Any) -> None:
        record = envelope(
            f"billing.{kind}", at, self.next_id(workspace, "/console"), "/console", {"workspace_id": workspace, **data}
        )
        self.timed.append((at, 0, record))

    def _dressed(self, record: dict[str, Any], at: int) -> dict[str, Any]:
        """Now and then what the rules say is to be ignored: extra fields, message text, another zone."""
        dress = self.rng.randrange(10)
        if dress == 0:
            record |= {"traceparent": "00-abc-def-01", "datacontenttype": "application/json"}
        elif dress == 1:
            record["data"] |= {"text": 'a "secret" word', "nested": {"time": "1999-01-01T00:00:00Z", "list": [1, None]}}
        elif dress == 2:
            record["time"] = stamp(at, self.rng.choice((-210, 60, 345)))
        return record

    def grant_span(self) -> tuple[int, int]:
        """When a grant begins and ends: far from every event, or anywhere among them."""
        if self.far_grants:
            return self.start - FAR_MS, self.end + FAR_MS
        begins = self.rng.randrange(self.start, self.end - HOUR_MS)
        return begins, self.rng.randrange(begins + 1, self.end)


def generate(
    seed: int, events: int, *, days: int = 4, start_ms: int = START_MS, far_grants: bool = True
) -> list[bytes]:
    """Some 20 account commands and exactly `events` chat events by time, a command before its instant's events.

    With `far_grants` no grant begins or ends near an event, so that totals do not depend on the order of debits.
    """
    assert not far_grants or days <= 10
    world = World(Random(seed), start_ms, days, far_grants)
    _chat(world, events)
    times = sorted({at for at, _, _ in world.timed})
    for tell in (_standard, _prepaid, _enterprise, _granted, _mixed):
        tell(world, times)
    return [line(record) for _, _, record in sorted(world.timed, key=lambda entry: entry[:2])]


def _chat(world: World, events: int) -> None:
    """Interactions, each a walk in time, until there are enough events."""
    rng = world.rng
    users = max(2, events // 250)
    while len(world.timed) < events:
        who = (rng.choice(WORKSPACES), rng.choice(BOTS), rng.choice(CHANNELS), f"u-{rng.randrange(users)}")
        at = rng.randrange(world.start, world.end)
        for _ in range(min(rng.randint(1, 12), events - len(world.timed))):
            _speak(world, at, who)
            at += _gap(rng)
            if at >= world.end:
                break


def _speak(world: World, at: int, who: tuple[str, str, str, str]) -> None:
    """One message or, seldom, a notification."""
    if world.rng.random() < 0.06:
        world.event(f"chat.notification.{world.rng.choice(('proactive', 'alert'))}", at, chat_data(*who, "bot"))
    else:
        actor = world.rng.choices(("user", "bot", "agent", "developer"), (44, 46, 6, 4))[0]
        world.event("chat.message", at, chat_data(*who, actor))


def _gap(rng: Random) -> int:
    """Time to the next message: often small, often exactly on the boundary or a millisecond off it."""
    return rng.choice(
        (
            0,
            rng.randrange(1_000),
            rng.randrange(1_000, 2 * MINUTE_MS),
            rng.randrange(1_000, 2 * MINUTE_MS),
            rng.randrange(2 * MINUTE_MS, GAP_MS),
            GAP_MS // 2,
            GAP_MS - 1,
            GAP_MS,
            GAP_MS,
            GAP_MS + 1,
            rng.randrange(GAP_MS, HOUR_MS),
            rng.randrange(HOUR_MS, 8 * HOUR_MS),
        )
    )


def _standard(world: World, _: list[int]) -> None:
    """The default: $500 of free credit, of which much is left."""
    world.command(
        "workspace.created", world.start - FAR_MS, "standard", plan="standard", name="Standard", owner="a@b.c"
    )
    for bot in BOTS:
        world.command("bot.created", world.start - FAR_MS + 1, "standard", bot_id=bot, name=bot.title(), owner="a@b.c")


def _prepaid(world: World, times: list[int]) -> None:
    """No free credit; a little designated, a little shared, some of it bought on the way; soon overdrawn."""
    buy = {"amount_micros": 1_500_001, "method": "card"}
    world.command("workspace.created", world.start - DAY_MS, "prepaid", plan="standard", free_grant_micros=0)
    world.command("credits.purchased", world.start - 1, "prepaid", order_id="o-1", bot_id=BOTS[0], **buy)
    world.command("credits.purchased", world.start - 1, "prepaid", order_id="o-2", **buy)
    world.command("credits.purchased", world.rng.choice(times), "prepaid", order_id="o-3", bot_id=BOTS[1], **buy)
    world.command("credits.purchased", world.rng.choice(times), "prepaid", order_id="o-4", **buy)


def _enterprise(world: World, _: list[int]) -> None:
    """An odd price, one bot that takes it from the workspace, one that pays by conversation."""
    world.command(
        "workspace.created", world.start - DAY_MS, "enterprise", plan="enterprise", session_price_micros=333_333
    )
    world.command("bot.created", world.start - HOUR_MS, "enterprise", bot_id=BOTS[0], plan="enterprise")
    world.command("bot.created", world.start - HOUR_MS, "enterprise", bot_id=BOTS[1], plan="standard")
    bought = {"order_id": "o-1", "amount_micros": 20_000_000, "method": "wire"}
    world.command("credits.purchased", world.start - MINUTE_MS, "enterprise", **bought)


def _granted(world: World, _: list[int]) -> None:
    """Enterprise on grants that run out, the second in the middle of a unit."""
    world.command(
        "workspace.created",
        world.start - FAR_MS,
        "granted",
        plan="enterprise",
        session_price_micros=150_000,
        free_grant_micros=1_000_000,
    )
    for number in (1, 2):
        begins, ends = world.grant_span()
        amount = 777_777 * number
        world.command(
            "grant.assigned", begins, "granted", grant_id=f"g-{number}", amount_micros=amount, expires_at=stamp(ends)
        )


def _mixed(world: World, times: list[int]) -> None:
    """Plans that change at the very instant of an event, for the workspace and for one bot."""
    world.command("workspace.created", world.start - FAR_MS, "mixed", plan="standard", free_grant_micros=2_500_000)
    early, middle, later = sorted(world.rng.choices(times, k=3))
    priced = {"plan": "enterprise", "session_price_micros": 99_999}
    world.command("plan.changed", early, "mixed", bot_id=BOTS[2], **priced)
    world.command("plan.changed", middle, "mixed", **priced | {"session_price_micros": 123_456})
    world.command("plan.changed", later, "mixed", plan="standard")

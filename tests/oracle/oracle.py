"""The whole meter as one slow, obvious pass over a feed: what any order of arrival comes to (DOMAIN, Metering 5)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from tests.oracle.chains import Conversation, conversations_of
from tests.oracle.reading import DAY_MS, MINUTE_MS, Command, DeadLetter, Event, RefusedError, policy_of, read
from tests.oracle.wallet import BLOCK_MS, Account, Balance, Charge

FUTURE_MS = 5 * MINUTE_MS
FAR = 2**60
"""After all plans."""
Policy = Literal["provision", "hold"]


@dataclass
class Usage:
    """One bot's day, by the UTC day of the conversation's first message or of the other event's own time."""

    conversations: int = 0
    sessions: int = 0
    requests: int = 0
    proactive: int = 0
    alert: int = 0
    agent: int = 0
    developer: int = 0
    total_units: int = 0
    charged_free: int = 0
    charged_paid: int = 0

    def add(self, other: "Usage") -> None:
        for column in fields(self):
            setattr(self, column.name, getattr(self, column.name) + getattr(other, column.name))


@dataclass
class Result:
    """What a feed must come to. `duplicates` and `conflicts` are line indexes; neither is a dead letter."""

    dead_letters: list[DeadLetter] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    chains: list[Conversation] = field(default_factory=list)
    daily: dict[tuple[str, str, str], Usage] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    balances: dict[str, Balance] = field(default_factory=dict)
    plans: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    """By workspace and bot, of those that are charged: the plan at the end, and the price of its unit."""
    end: int = 0

    @property
    def conversations(self) -> list[Conversation]:
        """The billable ones."""
        return [chain for chain in self.chains if chain.billable]

    @property
    def totals(self) -> Usage:
        """The whole feed in one row."""
        return sum_up(self.daily.values())

    def by_workspace(self) -> dict[str, Usage]:
        """One row a workspace."""
        workspaces: dict[str, Usage] = {}
        for (workspace, _, _), row in self.daily.items():
            workspaces.setdefault(workspace, Usage()).add(row)
        return workspaces

    def monthly(self) -> dict[tuple[str, str, str], Usage]:
        """One row a (workspace, bot, first day of the month)."""
        months: dict[tuple[str, str, str], Usage] = {}
        for (workspace, bot, day), row in self.daily.items():
            months.setdefault((workspace, bot, day[:7] + "-01"), Usage()).add(row)
        return months


def sum_up(rows: Iterable[Usage]) -> Usage:
    """The rows added up."""
    total = Usage()
    for row in rows:
        total.add(row)
    return total


def meter(
    lines: Iterable[bytes], now_ms: int, *, horizon_ms: int | None = DAY_MS, policy: Policy = "provision"
) -> Result:
    """Meter and charge the lines of a feed in their order of arrival."""
    result = Result()
    accounts = _receive(result, lines, now_ms, horizon_ms)
    result.chains = conversations_of(result.events)
    if policy == "provision":
        _provision(result, accounts)
    for chain in result.conversations:
        _bill(result, chain, accounts.setdefault(chain.key[0], Account()), policy)
    for event in result.events:
        _count(result, event)
    _balance(result, accounts)
    _plan(result, accounts, policy)
    return result


def _receive(result: Result, lines: Iterable[bytes], now_ms: int, horizon_ms: int | None) -> dict[str, Account]:
    """Every line becomes an accepted event, an applied command, a duplicate or a dead letter."""
    accounts: dict[str, Account] = {}
    inbox = _Inbox(result, now_ms, horizon_ms)
    for number, line in enumerate(lines):
        try:
            if policy := policy_of(line):
                inbox.switch(policy)
                continue
            record = read(number, line)
            if isinstance(record, Event):
                inbox.take(record)
                continue
            if record.type == "billing.credits.purchased" and record.time > now_ms + FUTURE_MS:
                raise RefusedError("future", "time")
            if accounts.setdefault(record.workspace, Account()).apply(record):
                result.commands.append(record)
            else:
                result.duplicates.append(number)
            if record.time <= now_ms + FUTURE_MS:
                result.end = max(result.end, record.time)
        except RefusedError as refusal:
            result.dead_letters.append(DeadLetter(number, refusal.code, refusal.field))
    result.end = max(result.end, inbox.newest)
    return accounts


class _Inbox:
    """Chat events in order of arrival (DOMAIN, Metering 6 and 7): future, then duplicate, then late."""

    def __init__(self, result: Result, now_ms: int, horizon_ms: int | None) -> None:
        self.result = result
        self.latest_possible = now_ms + FUTURE_MS
        self.horizon_ms = horizon_ms
        self.newest = 0
        self.accepted: dict[tuple[str, str, str], Event] = {}
        self.version = 1
        self.floor = 0
        """What was late when the horizon became longer stays late."""

    def take(self, event: Event) -> None:
        if event.time > self.latest_possible:
            raise RefusedError("future", "time")
        first = self.accepted.get(event.identity())
        if first is not None and not self._is_late(first.time):
            same = first.metered() == event.metered()
            (self.result.duplicates if same else self.result.conflicts).append(event.line)
        elif self._is_late(event.time):
            raise RefusedError("late", "time")
        else:
            self.accepted[event.identity()] = event
            self.result.events.append(event)
        self.newest = max(self.newest, event.time)

    def switch(self, policy: dict[str, Any]) -> None:
        """A newer policy holds from here on, and reaches back no further than the one before."""
        if policy["version"] > self.version and self.horizon_ms is not None:
            self.version = policy["version"]
            self.floor = max(self.floor, self.newest - self.horizon_ms)
            self.horizon_ms = policy["horizon_ms"]

    def _is_late(self, time: int) -> bool:
        return self.horizon_ms is not None and time < max(self.floor, self.newest - self.horizon_ms)


def _provision(result: Result, accounts: dict[str, Account]) -> None:
    """A workspace that no command created is Standard, with the default grant from its first event on."""
    first_event: dict[str, int] = {}
    for at, workspace in sorted((event.time, event.workspace) for event in result.events):
        first_event.setdefault(workspace, at)
    for workspace, at in first_event.items():
        account = accounts.setdefault(workspace, Account())
        if not account.created:
            account.provision(at)


def _bill(result: Result, chain: Conversation, account: Account, policy: Policy) -> None:
    """Count a conversation, whole, on the day of its first message, and charge its units (DOMAIN, Debit order 3)."""
    workspace, bot, _, _ = chain.key
    plan, price = account.plan_at(bot, chain.first)
    standard = plan == "standard"
    row = result.daily.setdefault((workspace, bot, day_of(chain.first)), Usage())
    billed = 1 if standard else chain.sessions
    row.add(Usage(1, chain.sessions, chain.requests, total_units=chain.requests + billed))
    if policy == "hold" and not account.created:
        return
    for block in range(billed):
        at = chain.first + block * BLOCK_MS
        for lot, kind, amount in account.debit(bot, at, price):
            result.charges.append(Charge(workspace, bot, at, lot, kind, amount, (*chain.key, chain.first)))
            free = amount if kind == "free" else 0
            row.add(Usage(charged_free=free, charged_paid=amount - free))


def _count(result: Result, event: Event) -> None:
    """Notifications are units of their own type; agents' and developers' messages are only recorded."""
    one = {
        "chat.notification.proactive": Usage(proactive=1, total_units=1),
        "chat.notification.alert": Usage(alert=1, total_units=1),
        "agent": Usage(agent=1),
        "developer": Usage(developer=1),
    }.get(event.actor if event.type == "chat.message" else event.type)
    if one is not None:
        result.daily.setdefault((event.workspace, event.bot, day_of(event.time)), Usage()).add(one)


def _balance(result: Result, accounts: dict[str, Account]) -> None:
    """The wallets at the end of the feed. A workspace that no command named and no event provisioned has none."""
    spent = result.by_workspace()
    for workspace, account in accounts.items():
        if not account.seen and not account.lots:
            continue
        balance = result.balances[workspace] = account.balance(result.end)
        row = spent.get(workspace, Usage())
        balance.charged_free, balance.charged_paid = row.charged_free, row.charged_paid


def _plan(result: Result, accounts: dict[str, Account], policy: Policy) -> None:
    """The newest plan of each bot that an event or a command has named, of the workspaces that are charged."""
    bots = {(event.workspace, event.bot) for event in result.events}
    bots |= {(each.workspace, each.data["bot_id"]) for each in result.commands if "bot." in each.type}
    # A command that was refused may have left an empty list of plans.
    bots |= {(name, bot) for name, account in accounts.items() for bot, plans in account.bot_plans.items() if plans}
    charged = {workspace for workspace, account in accounts.items() if account.created}
    if policy == "provision":
        charged |= {event.workspace for event in result.events}
    for workspace, bot in bots:
        if workspace in charged:
            result.plans[workspace, bot] = accounts[workspace].plan_at(bot, FAR)


def day_of(at: int) -> str:
    """The UTC day of an instant, as YYYY-MM-DD."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def merged(*feeds: Iterable[bytes]) -> list[bytes]:
    """Several feeds as one, by time, earlier feeds first. A line without a time follows its neighbour."""
    stamped: list[tuple[int, bytes]] = []
    for feed in feeds:
        at = 0
        for number, line in enumerate(feed):
            try:
                record = read(number, line)
                at = max(at, record.time)
            except RefusedError:
                pass
            stamped.append((at, line))
    return [line for _, line in sorted(stamped, key=lambda pair: pair[0])]

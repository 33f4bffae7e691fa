"""Makes the sample feed that ships with the product: `python -m tests.feeds.make_sample` remakes it bit for bit.

A working week of three invented companies: a bookshop that lives on free credit and has almost used it up, a travel
agency that bought credit for one bot and for all, and a bank that pays by session.
"""

import gzip
import io
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.feeds.lines import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, chat_data, envelope, line, millis, stamp

SAMPLE = Path(__file__).resolve().parents[2] / "meter" / "sample"
SEED = 20260907
MONDAY = millis(2026, 9, 7)
DAYS = 5
OPENED = millis(2026, 9, 1)

BOOKS, TRAVEL, BANK = "corner-books", "alpine-travel", "meridian-bank"
BOTS: dict[str, dict[str, str]] = {
    BOOKS: {"shop": "Shop assistant", "orders": "Order tracker", "returns": "Returns", "readings": "Readings"},
    TRAVEL: {"booking": "Booking", "concierge": "Concierge", "loyalty": "Loyalty club", "refunds": "Refunds"},
    BANK: {"accounts": "Accounts", "cards": "Card services", "loans": "Loans", "fraud": "Fraud desk"},
}
CHANNELS = ("web", "whatsapp", "voice")
CHATS = {BOOKS: 250, TRAVEL: 220, BANK: 150}
"""Visits in the whole week."""


@dataclass
class Week:
    """Lines in the making, each with the instant at which it reaches the feed."""

    rng: Random
    arrivals: list[tuple[int, bytes]] = field(default_factory=list)

    def event(self, kind: str, at: int, data: dict[str, Any]) -> None:
        """Most lines arrive at once, some up to 40 minutes after their time, and one in a hundred twice."""
        record = envelope(f"chat.{kind}", at, self.new_id(), f"/{data['workspace_id']}/runtime", data)
        delay = self.rng.randrange(MINUTE_MS, 40 * MINUTE_MS) if self.rng.random() < 0.02 else 0
        self.arrivals.append((at + delay, line(record)))
        if self.rng.random() < 0.01:
            self.arrivals.append((at + delay + self.rng.randrange(10 * MINUTE_MS), line(record)))

    def new_id(self) -> str:
        return f"{self.rng.getrandbits(64):016x}"

    def office_hour(self) -> int:
        """An instant of the week, most likely about noon."""
        day = MONDAY + self.rng.randrange(DAYS) * DAY_MS
        return day + int(self.rng.triangular(6 * HOUR_MS, 22 * HOUR_MS, 12 * HOUR_MS))


def traffic() -> list[bytes]:
    """The chat events in the order in which they arrive, with a few lines that are none."""
    week = Week(Random(SEED))
    for workspace, chats in CHATS.items():
        for _ in range(chats):
            _visit(week, workspace)
    _notify(week)
    _late_bridge(week)
    _break(week)
    return [text for _, text in sorted(week.arrivals, key=lambda arrival: arrival[0])]


def _visit(week: Week, workspace: str) -> None:
    """A visitor and a bot take turns; some think for long, some are handed over, some come back later."""
    rng = week.rng
    bot, channel = rng.choice(list(BOTS[workspace])), rng.choice(CHANNELS)
    who = (workspace, bot, channel, f"visitor-{rng.randrange(90)}")
    at = week.office_hour()
    if rng.random() < 0.04:
        week.event("message", at, chat_data(*who, "developer"))
        return
    for turn in range(rng.choice((2, 3, 4, 4, 5, 6, 8, 12))):
        actor = ("user", "bot")[turn % 2] if rng.random() < 0.95 else "agent"
        week.event("message", at, chat_data(*who, actor))
        at += _pause(rng, patient=workspace == BANK)


def _pause(rng: Random, *, patient: bool) -> int:
    """Seconds as a rule; a user who looks for papers for minutes lengthens a bank's session."""
    if rng.random() < (0.25 if patient else 0.06):
        return rng.randrange(3 * MINUTE_MS, 18 * MINUTE_MS)
    return rng.randrange(2 * SECOND_MS, 80 * SECOND_MS)


def _notify(week: Week) -> None:
    """A travel offer each morning, and alerts of the bank's fraud desk at any hour."""
    for day in range(DAYS):
        nine = MONDAY + day * DAY_MS + 9 * HOUR_MS
        for number in range(25):
            data = chat_data(TRAVEL, "loyalty", "whatsapp", f"visitor-{number}", "bot")
            week.event("notification.proactive", nine + number * 40, data)
    for _ in range(30):
        data = chat_data(BANK, "fraud", "whatsapp", f"visitor-{week.rng.randrange(90)}", "bot")
        week.event("notification.alert", week.office_hour(), data)


def _late_bridge(week: Week) -> None:
    """Two conversations 20 minutes apart are billed; two hours later the answer between them arrives and joins them."""
    start = MONDAY + DAY_MS + 10 * HOUR_MS
    for minutes, actor, arrives in ((0, "user", 0), (20, "user", 20), (10, "bot", 150)):
        record = envelope(
            "chat.message",
            start + minutes * MINUTE_MS,
            f"bridge-{minutes}",
            f"/{BOOKS}/runtime",
            chat_data(BOOKS, "orders", "web", "visitor-bridge", actor),
        )
        week.arrivals.append((start + arrives * MINUTE_MS, line(record)))


def _break(week: Week) -> None:
    """What a meter meets in the field: each of these is refused with its own reason."""
    noon = MONDAY + 3 * DAY_MS + 12 * HOUR_MS
    data = chat_data(BOOKS, "shop", "web", "visitor-broken", "user")
    good = envelope("chat.message", noon, "broken", f"/{BOOKS}/runtime", data)
    week.arrivals += [
        (noon, b"<html>502 Bad Gateway</html>"),
        (noon + 1, line(good)[:60]),
        (noon + 2, line(good | {"data": {key: value for key, value in data.items() if key != "bot_id"}})),
        (noon + 3, line(good | {"data": data | {"actor": "robot"}})),
        (noon + 4, line(good | {"time": "2026-09-10T12:00:00"})),
        (noon + 5, line(good | {"time": stamp(noon - 2 * DAY_MS)})),
        (MONDAY + DAYS * DAY_MS, line(good | {"time": "2099-01-01T00:00:00.000Z"})),
    ]


def accounts() -> list[bytes]:
    """The account commands: three workspaces, a dozen bots, a grant, purchases and a change of plan."""
    told: list[tuple[str, int, dict[str, Any]]] = [
        ("workspace.created", OPENED, _workspace(BOOKS, "Corner Books", "standard", free_grant_micros=52_000_000)),
        ("workspace.created", OPENED, _workspace(TRAVEL, "Alpine Travel", "standard", free_grant_micros=0)),
        ("workspace.created", OPENED, _workspace(BANK, "Meridian Bank", "enterprise", session_price_micros=350_000)),
        *(
            ("bot.created", OPENED + MINUTE_MS, _bot(workspace, bot, name))
            for workspace, bots in BOTS.items()
            for bot, name in bots.items()
        ),
        ("grant.assigned", OPENED + HOUR_MS, _credit(TRAVEL, 10_000_000, grant_id="welcome")),
        ("credits.purchased", OPENED + DAY_MS, _credit(TRAVEL, 100_000_000, order_id="o-1001", method="card")),
        ("credits.purchased", OPENED + DAY_MS, _credit(BANK, 100_000_000, order_id="o-2001", method="wire")),
        (
            "credits.purchased",
            OPENED + 2 * DAY_MS,
            _credit(TRAVEL, 100_000_000, order_id="o-1002", method="card", bot_id="booking"),
        ),
        (
            "plan.changed",
            MONDAY + 2 * DAY_MS,
            {"workspace_id": TRAVEL, "bot_id": "concierge", "plan": "enterprise", "session_price_micros": 150_000},
        ),
    ]
    return [
        line(envelope(f"billing.{kind}", at, f"account-{number:03}", "/console", data))
        for number, (kind, at, data) in enumerate(sorted(told, key=lambda one: one[1]), start=1)
    ]


def _workspace(workspace: str, name: str, plan: str, **terms: int) -> dict[str, Any]:
    return {"workspace_id": workspace, "name": name, "owner": f"owner@{workspace}.example", "plan": plan, **terms}


def _bot(workspace: str, bot: str, name: str) -> dict[str, Any]:
    return {"workspace_id": workspace, "bot_id": bot, "name": name, "owner": f"{bot}@{workspace}.example"}


def _credit(workspace: str, amount: int, **terms: str) -> dict[str, Any]:
    return {"workspace_id": workspace, "amount_micros": amount, **terms}


def packed(lines: list[bytes]) -> bytes:
    """gzip without a name and a date, so that equal lines are equal bytes."""
    file = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as archive:
        archive.write(plain(lines))
    return file.getvalue()


def plain(lines: list[bytes]) -> bytes:
    """Lines as a file holds them."""
    return b"".join(text + b"\n" for text in lines)


def main() -> None:
    """Write both files where the product looks for them."""
    SAMPLE.mkdir(parents=True, exist_ok=True)
    (SAMPLE / "traffic.ndjson.gz").write_bytes(packed(traffic()))
    (SAMPLE / "accounts.ndjson").write_bytes(plain(accounts()))


if __name__ == "__main__":
    main()

"""Ledger updates as a wallet would write them, short enough to read in a test."""

from schemas.instants import DAY_MS
from schemas.ledger import BalanceFact, ControlTotals, ConversationFact, Entry, LedgerUpdate, UsageFact

DAY = 19_000
"""2022-01-08, as days since 1970."""

PRICE_MICROS = 200_000


def entry(seq: int, amount_micros: int = -PRICE_MICROS) -> Entry:
    return Entry(
        entry_id=f"entry-{seq}",
        seq=seq,
        bot_id="bot",
        kind="charge",
        unit_id=f"unit-{seq}",
        conversation_id=f"conversation-{seq}",
        lot_id="lot",
        lot_kind="free",
        amount_micros=amount_micros,
        occurred_ms=DAY * DAY_MS + seq,
    )


def conversation(
    number: int = 1,
    *,
    first_ms: int = DAY * DAY_MS,
    billable: bool = True,
    state: str = "closed",
    absorbed_into: str = "",
    requests: int = 1,
) -> ConversationFact:
    return ConversationFact(
        conversation_id=f"conversation-{number}",
        bot_id="bot",
        channel="web",
        channel_user_id="user",
        state=state,
        billable=billable,
        first_ms=first_ms,
        last_ms=first_ms + 1,
        messages=2,
        requests=requests,
        sessions=1,
        plan="standard",
        charged_free_micros=PRICE_MICROS,
        charged_paid_micros=0,
        absorbed_into=absorbed_into,
        opened_ms=DAY * DAY_MS + number,
    )


def usage(day: int = DAY, conversations: int = 1, bot_id: str = "bot") -> UsageFact:
    return UsageFact(
        bot_id=bot_id,
        day=day,
        conversations=conversations,
        sessions=conversations,
        requests=2 * conversations,
        proactive_notifications=0,
        alert_notifications=0,
        agent_messages=0,
        developer_messages=0,
        total_units=3 * conversations,
        charged_free_micros=PRICE_MICROS * conversations,
        charged_paid_micros=0,
    )


def update(
    version: int,
    *,
    workspace_id: str = "workspace",
    entries: list[Entry] | None = None,
    conversations: list[ConversationFact] | None = None,
    usage: list[UsageFact] | None = None,
    free_micros: int = 0,
    paid_micros: int = 0,
    totals: ControlTotals | None = None,
) -> LedgerUpdate:
    return LedgerUpdate(
        workspace_id=workspace_id,
        partition=0,
        version=version,
        produced_ms=0,
        entries=entries or [],
        conversations=conversations or [],
        usage=usage or [],
        balance=BalanceFact(free_micros=free_micros, paid_micros=paid_micros, lapsed_micros=0),
        totals=totals or ControlTotals(),
    )

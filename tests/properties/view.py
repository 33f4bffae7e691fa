"""What a reader of the ledger topic knows in the end."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import ConsumerRecord

from schemas.dead_letters import DeadLetter, from_record
from schemas.instants import DAY_MS, from_ms
from schemas.ledger import (
    BalanceFact,
    ControlTotals,
    ConversationFact,
    Entry,
    LedgerUpdate,
    UsageFact,
    decode_ledger_update,
)
from schemas.topics import DEAD_LETTERS, LEDGER
from tests.oracle.oracle import Usage


@dataclass
class View:
    """What a reader of the ledger topic knows in the end: of each fact the newest version, of each entry one."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    conversations: dict[tuple[str, str], ConversationFact] = field(default_factory=dict)
    usage: dict[tuple[str, str, int], UsageFact] = field(default_factory=dict)
    balances: dict[str, BalanceFact] = field(default_factory=dict)
    totals: dict[str, ControlTotals] = field(default_factory=dict)
    dead: dict[tuple[str, int, int], DeadLetter] = field(default_factory=dict)

    def daily(self) -> dict[tuple[str, str, str], Usage]:
        """The days on which something was counted, in the oracle's words."""
        days: dict[tuple[str, str, str], Usage] = {}
        for (workspace_id, bot_id, day), fact in self.usage.items():
            row = as_usage(fact)
            if row != Usage():
                days[workspace_id, bot_id, from_ms(day * DAY_MS).date().isoformat()] = row
        return days

    def chains(self, *, billable: bool) -> Counter[tuple[object, ...]]:
        """The conversations that were not absorbed: key, first, last, messages, requests, sessions."""
        return Counter(
            (
                (workspace_id, fact.bot_id, fact.channel, fact.channel_user_id),
                *(fact.first_ms, fact.last_ms, fact.messages, fact.requests, fact.sessions),
            )
            for (workspace_id, _), fact in self.conversations.items()
            if fact.state != "absorbed" and fact.billable is billable
        )


def as_usage(fact: UsageFact) -> Usage:
    """A row of usage in the oracle's words."""
    return Usage(
        fact.conversations,
        fact.sessions,
        fact.requests,
        fact.proactive_notifications,
        fact.alert_notifications,
        fact.agent_messages,
        fact.developer_messages,
        fact.total_units,
        fact.charged_free_micros,
        fact.charged_paid_micros,
    )


class Topics(Protocol):
    """All topics, as far as they are read here."""

    def all_of(self, topic: str) -> Iterator[ConsumerRecord]: ...


def view(log: Topics) -> View:
    """Read the ledger and the dead letters. What is written twice must be the same twice."""
    found = View()
    entries: dict[str, dict[str, Entry]] = defaultdict(dict)
    versions: dict[object, tuple[int, object]] = {}
    for record in log.all_of(LEDGER.name):
        update = decode_ledger_update(record.value)
        for entry in update.entries:
            assert entries[update.workspace_id].setdefault(entry.entry_id, entry) == entry
        for key, fact in facts(update):
            known_version, known = versions.get(key, (-1, None))
            assert update.version != known_version or fact == known
            if update.version > known_version:
                versions[key] = update.version, fact
    for each, (_, fact) in versions.items():
        place_fact(found, each, fact)
    found.entries = {ws: sorted(each.values(), key=lambda entry: entry.seq) for ws, each in entries.items()}
    for record in log.all_of(DEAD_LETTERS.name):
        letter = from_record(record.key, record.value, list(record.headers))
        at = letter.source_topic, letter.source_partition, letter.source_offset
        assert found.dead.setdefault(at, letter) == letter
    return found


def facts(update: LedgerUpdate) -> Iterator[tuple[object, object]]:
    """The absolute facts of an update, each under the key that newer ones replace."""
    for conversation in update.conversations:
        yield (update.workspace_id, conversation.conversation_id), conversation
    for usage in update.usage:
        yield (update.workspace_id, usage.bot_id, usage.day), usage
    if update.balance is not None:
        yield update.workspace_id, update.balance
        yield (update.workspace_id, "totals", "", ""), update.totals


def place_fact(found: View, key: Any, fact: object) -> None:
    """Put a fact where its kind belongs."""
    match fact:
        case ConversationFact():
            found.conversations[key] = fact
        case UsageFact():
            found.usage[key] = fact
        case BalanceFact():
            found.balances[key] = fact
        case ControlTotals():
            found.totals[key[0]] = fact

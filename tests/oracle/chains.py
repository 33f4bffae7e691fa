"""Conversations: maximal chains of user and bot messages of one interaction (DOMAIN, Metering 1 to 4)."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.oracle.reading import Event
from tests.oracle.wallet import BLOCK_MS

Key = tuple[str, str, str, str]
"""(workspace, bot, channel, channel user)"""


@dataclass
class Conversation:
    """A chain; a bot's monologue is one too, but not billable."""

    key: Key
    first: int
    last: int
    messages: int = 0
    requests: int = 0

    @property
    def sessions(self) -> int:
        """DOMAIN, Metering 3: max(1, ceil((last - first) / 15 min))."""
        return max(1, -((self.first - self.last) // BLOCK_MS))

    @property
    def billable(self) -> bool:
        """DOMAIN, Metering 1: once it holds at least one user message."""
        return self.requests > 0


def conversations_of(events: Iterable[Event]) -> list[Conversation]:
    """All chains of the events, by first message. DOMAIN, Metering 2: at most 15:00.000 apart is the same one."""
    chains: list[Conversation] = []
    newest: dict[Key, Conversation] = {}
    for event in sorted(events, key=lambda event: event.time):
        if event.type != "chat.message" or event.actor not in ("user", "bot"):
            continue
        key = (event.workspace, event.bot, event.channel, event.user)
        chain = newest.get(key)
        if chain is None or event.time - chain.last > BLOCK_MS:
            chain = newest[key] = Conversation(key, event.time, event.time)
            chains.append(chain)
        chain.last = event.time
        chain.messages += 1
        chain.requests += event.actor == "user"
    return sorted(chains, key=lambda chain: (chain.first, chain.key))

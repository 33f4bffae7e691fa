"""One wallet by hand: conversations go in as its log tells them, entries come out."""

from typing import Any

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions.sessionize import Sessions
from meter.core.wallet.wallets import Wallets
from schemas.ledger import BalanceFact, ConversationFact, Entry
from schemas.metered import ConversationMetered, SafePoint, State, WalletInput, decode_wallet_input
from schemas.payments import PaymentRequest
from tests.oracle.build import T0, command

MIN = 60_000
GAP = 15 * MIN
Part = tuple[str, int]
"""(lot, amount taken)."""


class WalletHarness:
    """A wallet named `w`. Times are relative to T0; conversations have the ids that the test gives them."""

    def __init__(self, *commands: bytes, policy: Policy | None = None) -> None:
        self.wallets = Wallets(policy or Policy())
        self.entries: list[Entry] = []
        self.requests: list[PaymentRequest] = []
        self.facts: dict[str, ConversationFact] = {}
        self.balance = BalanceFact(free_micros=0, paid_micros=0, lapsed_micros=0)
        self._version = 0
        for each in commands:
            self.tell(decode_wallet_input(each))

    def tell(self, given: WalletInput) -> list[Entry]:
        """One more record of the log; the entries it made."""
        self._version += 1
        outcome = self.wallets.step(given)
        self.refused = outcome if isinstance(outcome, Rejected) else None
        self.requests += self.wallets.take_payment_requests()
        made: list[Entry] = []
        for update in self.wallets.drain_updates(0, self._version):
            made += update.entries
            assert update.balance is not None
            self.balance = update.balance
            self.facts |= {fact.conversation_id: fact for fact in update.conversations}
        self.entries += made
        return made

    def command(self, kind: str, /, at: int = 0, **data: Any) -> list[Entry]:
        return self.tell(decode_wallet_input(command(kind, at, **data)))

    def conversation(
        self,
        first: int,
        last: int | None = None,
        *,
        id: str = "c",
        bot: str = "b",
        requests: int = 1,
        state: State = "open",
        into: str | None = None,
    ) -> list[Entry]:
        """How a conversation stands now."""
        last = first if last is None else last
        return self.tell(
            ConversationMetered(
                workspace_id="w",
                bot_id=bot,
                channel="web",
                channel_user_id="u",
                origin_partition=0,
                origin_offset=self._version,
                produced_ms=0,
                conversation_id=id,
                opened_ms=T0 + first,
                state=state,
                first_ms=T0 + first,
                last_ms=T0 + last,
                messages=requests,
                requests=requests,
                sessions=max(1, -((first - last) // GAP)),
                absorbed_into=into,
            )
        )

    def absorbed(self, first: int, *, id: str, into: str) -> list[Entry]:
        """A late message has bridged a conversation into another."""
        return self.conversation(first, id=id, requests=0, state="absorbed", into=into)

    def passes(self, at: int) -> list[Entry]:
        """Event time has come to `at`."""
        return self.tell(SafePoint(origin_partition=0, origin_offset=self._version, watermark_ms=T0 + at))


def charged(entries: list[Entry]) -> list[Part]:
    """What was taken from which lot, in order."""
    return [(entry.lot_id, -entry.amount_micros) for entry in entries if entry.kind == "charge"]


def moved(entries: list[Entry]) -> list[tuple[str, str, int]]:
    """(kind, lot, amount) of each entry."""
    return [(entry.kind, entry.lot_id, entry.amount_micros) for entry in entries]


def fresh_sessions() -> Sessions:
    """A partition of chat events in which nothing has happened."""
    return Sessions(Policy())

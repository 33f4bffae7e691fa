"""The wallet of a workspace: plans, bots, lots, commands and balances."""

from typing import Literal

import msgspec

from meter.core.wallet.lots import Lots
from meter.core.wallet.plan_terms import Timeline
from meter.core.wallet.purchases import Purchases
from schemas.ledger import BalanceFact, ControlTotals

Status = Literal["unknown", "provisioned", "created"]
"""unknown: not created yet, and nothing is charged; provisioned: its first event created it; created: a command did."""


class Bot(msgspec.Struct, array_like=True):
    """A bot as its command named it, with its own plan. An empty timeline means the workspace's plan."""

    name: str = ""
    owner: str = ""
    plan: Timeline = msgspec.field(default_factory=Timeline)
    named: tuple[int, str, str] = (-1, "", "")
    """Time, source and id of the command that said the name and the owner."""
    plan_begun_ms: int = -1
    """The latest time of its own plans that had come when the plan's command arrived."""


class Wallet(msgspec.Struct, array_like=True):
    """The lots, plans, bots and balances of a workspace.

    `free_micros` and `paid_micros` are the sums over the lots of that kind, kept up to date by `Book.post`. `seq` is
    the number of the newest entry.
    """

    workspace_id: str
    status: Status = "unknown"
    owner: str = ""
    name: str = ""
    seq: int = 0
    plan: Timeline = msgspec.field(default_factory=Timeline)
    bots: dict[str, Bot] = {}
    lots: Lots = msgspec.field(default_factory=Lots)
    commands: dict[str, str] = {}
    """Key of each command that took effect -> digest of its content. Kept for ever, so that any repeat is found."""
    free_micros: int = 0
    paid_micros: int = 0
    lapsed_micros: int = 0
    since: int = -1
    """The version of the first input that changed the workspace (its offset of wallet-inputs); -1 before."""
    conversations: int = 0
    messages: int = 0
    occurrences: int = 0
    """These three are control totals: see `schemas.ledger.ControlTotals`."""
    credited_micros: int = 0
    """All credit that was ever given, pending grants included."""
    charged_micros: int = 0
    """All charges that stand. Neither of the two exceeds `schemas.money.MOST_MICROS`."""
    has_withdrawn: bool = False
    """Whether the assumed grant was withdrawn, because a command created the workspace after all."""
    assumed_spent_micros: int = 0
    """What the assumed grant has paid for conversations that are forgotten."""
    is_rebilling: bool = False
    """Whether conversations wait to be charged again, in slices (`rebilling.py`)."""
    slices: int = 0
    """The number of the slice that is due next. It never goes back."""
    looks: int = 0
    """The number of slices that only look for conversations to charge again, before the first is charged."""
    events_since: int = -1
    """The wallet-inputs offset of its first event; -1 before it, and where state of format 1 has events already."""
    plan_begun_ms: int = -1
    """The latest time of its plans that had come when the plan's command arrived."""
    purchases: Purchases = msgspec.field(default_factory=Purchases)

    @property
    def is_held(self) -> bool:
        """Whether the workspace has events and is not created yet: nothing is charged to it."""
        return self.status == "unknown" and self.conversations + self.occurrences > 0

    @property
    def is_used_up(self) -> bool:
        """Whether no credit is left."""
        return self.free_micros + self.paid_micros <= 0

    def balance(self) -> BalanceFact:
        """Return the balances as a ledger update states them."""
        return BalanceFact(free_micros=self.free_micros, paid_micros=self.paid_micros, lapsed_micros=self.lapsed_micros)

    def totals(self) -> ControlTotals:
        """Return the control totals as a ledger update states them."""
        return ControlTotals(
            entries=self.seq, conversations=self.conversations, messages=self.messages, occurrences=self.occurrences
        )


def without_parts(wallet: Wallet) -> Wallet:
    """The wallet without what is entries of its own in a checkpoint: plan, lots, bots, commands and purchases."""
    return msgspec.structs.replace(wallet, plan=Timeline(), lots=Lots(), bots={}, commands={}, purchases=Purchases())

"""Outcomes of an account command that was not refused. A refused one gives `Rejected`."""

import msgspec

from meter.core.wallet.purchases import Order


class Done(msgspec.Struct, frozen=True):
    """The command took effect. If `rebill`, a plan may have changed, and conversations must be charged again.

    `requested` is an order whose payment must be requested now.
    """

    rebill: bool = False
    requested: Order | None = None


class Repeated(msgspec.Struct, frozen=True):
    """A repeat of a command that took effect. It changed nothing."""

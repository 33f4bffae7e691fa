"""Outcomes of an account command that was not refused. A refused one gives `Rejected`."""

import msgspec


class Done(msgspec.Struct, frozen=True):
    """The command took effect. If `rebill`, a plan may have changed, and conversations must be charged again."""

    rebill: bool = False


class Repeated(msgspec.Struct, frozen=True):
    """A repeat of a command that took effect. It changed nothing."""

"""What became of a command: the values that say so."""

import msgspec


class Done(msgspec.Struct, frozen=True):
    """The command took effect. `rebill` says that conversations may have to be charged anew."""

    rebill: bool = False


class Repeated(msgspec.Struct, frozen=True):
    """The same command again."""

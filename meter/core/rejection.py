"""The value that says why an input is not accepted."""

import msgspec


class Rejected(msgspec.Struct, frozen=True):
    """An input that takes no effect. `code` is one of few words, for counting; `reason` names the field."""

    code: str
    reason: str

"""The value that says why an input was refused."""

import msgspec


class Rejected(msgspec.Struct, frozen=True):
    """A refusal of one input, which had no effect on the state.

    `code` is one of a few words, for counting. `reason` is a sentence that names the field.
    """

    code: str
    reason: str

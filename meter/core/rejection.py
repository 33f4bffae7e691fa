"""The value that says why an input was refused."""

import msgspec

from schemas.rejection_codes import RejectionCode


class Rejected(msgspec.Struct, frozen=True):
    """A refusal of one input, which had no effect on the state.

    `reason` is a sentence that names the field.
    """

    code: RejectionCode
    reason: str

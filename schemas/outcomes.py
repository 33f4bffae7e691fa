"""Records of the topic `outcomes`: what became of an account command. One record for each time that it was read."""

from typing import Literal

import msgspec

from schemas import formats

CommandOutcome = Literal["done", "repeated", "refused"]


class OutcomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the command `source`, `id` at version `version` of wallet-inputs.

    `code` and `reason` say why a command was refused; they are "" otherwise. A command that is read again has the same
    outcome at the same version; the same command at another place has `repeated`.
    """

    workspace_id: str
    source: str
    id: str
    outcome: CommandOutcome
    code: str = ""
    reason: str = ""
    version: int
    format: formats.Outcome = formats.OUTCOME_FORMAT


encode_outcome = msgspec.json.Encoder().encode
decode_outcome = msgspec.json.Decoder(OutcomeRecord).decode
"""bytes -> OutcomeRecord. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError or ValueError."""

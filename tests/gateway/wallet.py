"""A wallet that answers commands at once, as the charger would."""

from meter.core.rejection import Rejected
from meter.core.wallet.wallets import Wallets
from meter.kafka.records import Record
from schemas.commands import decode_command
from schemas.outcomes import CommandOutcome, OutcomeRecord, encode_outcome


def outcome_of(wallets: Wallets, record: Record, offset: int) -> bytes:
    """The record of `outcomes` for a command that lies at `offset`."""
    command = decode_command(record.value or b"")
    found = wallets.step(command, offset)
    refused = found if isinstance(found, Rejected) else None
    word: CommandOutcome = "refused" if refused else "repeated" if found else "done"
    return encode_outcome(
        OutcomeRecord(
            workspace_id=command.data.workspace_id,
            source=command.source,
            id=command.id,
            outcome=word,
            code=refused.code if refused else "",
            reason=refused.reason if refused else "",
            version=offset,
        )
    )

"""The fold of one partition of account-commands: records in; commands for wallet-inputs and dead letters out."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from meter.core.card_numbers import card_number_in
from meter.core.decode import read
from meter.core.rejection import Rejected
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.stage.dead_letter import dead_letter, dead_letters, left_out
from meter.stage.fold import Output
from meter.stage.mark import Life
from meter.stage.moves import moved, moves
from schemas.commands import decode_command
from schemas.dead_letters import DeadLetter
from schemas.topics import ACCOUNT_COMMANDS, WALLET_INPUTS


class Mark(msgspec.Struct, array_like=True):
    """The whole state: how many records of the partition were moved, and how many were refused."""

    moved: int = 0
    refused: int = 0


encode_mark = msgspec.msgpack.Encoder().encode
decode_mark = msgspec.msgpack.Decoder(Mark).decode


def count_lost(mark: bytes) -> bytes:
    """Return a mark with one refused record more: a range of records was lost, and has one dead letter."""
    saved = decode_mark(mark) if mark else Mark()
    return encode_mark(msgspec.structs.replace(saved, refused=saved.refused + 1))


class CommandMover:
    """Moves each account command to its workspace's partition of wallet-inputs. Refuses every other record.

    Anyone may write account-commands, under any key. A command is read here by the same checks as on wallet-inputs, so
    that its refusal names the place that its writer knows. What the wallet thinks of it shows only there.
    """

    spills = False
    is_full = False

    def __init__(self, partition: int, partitions: int) -> None:
        assert 0 <= partition < partitions
        self._partition, self._partitions = partition, partitions
        self._counts = Mark()

    def load(self, offset: int, block: bytes) -> None:  # noqa: ARG002 - the shape of a state
        """Raise ValueError: this state has no entries."""
        raise ValueError("the state of this stage has no entries")

    def finish(self, mark: bytes | None, floor: int) -> None:  # noqa: ARG002 - the shape of a state
        """Begin with the counts of the mark."""
        self._counts = decode_mark(mark) if mark else Mark()

    def begin(self, life: Life) -> None:
        """Do nothing: what this stage writes does not name the life of its topics."""

    def leave_out(self, record: Fetched, reason: str) -> Iterator[Output]:
        """Count the record as refused, and yield its dead letter."""
        self._counts.refused += 1
        yield left_out(ACCOUNT_COMMANDS, self._partition, record, reason)

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        """Yield the dead letters of a batch, then its commands."""
        letters: list[DeadLetter] = []
        commands: list[Record] = []
        for record in records:
            command = read(record.value, decode_command)
            command = card_number_in(command, record.value or b"") or command
            if isinstance(command, Rejected):
                letters.append(dead_letter(ACCOUNT_COMMANDS, self._partition, record, command))
            else:
                workspace_id = command.data.workspace_id
                commands.append(moved(ACCOUNT_COMMANDS, self._partition, record, workspace_id, self._partitions))
        self._counts.moved += len(commands)
        self._counts.refused += len(letters)
        yield dead_letters(letters)
        yield moves(ACCOUNT_COMMANDS, WALLET_INPUTS, commands)

    def changed(self) -> Iterable[bytes]:
        """Return nothing: the state has no entries."""
        return ()

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:  # noqa: ARG002 - the shape of a state
        """Return an empty block, with which the sweep ends."""
        return b"", True

    def mark(self) -> bytes:
        """Return both counts."""
        return encode_mark(self._counts)

    def confirm(self, offset: int) -> Iterable[Output]:  # noqa: ARG002 - the shape of a fold
        """Return nothing: nothing has to wait for a checkpoint."""
        return ()

    def idle(self, now_ms: int) -> list[Record]:  # noqa: ARG002 - the shape of a fold
        """Return nothing: commands do not depend on event time."""
        return []

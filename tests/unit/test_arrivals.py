"""When a moved record arrived at Kafka."""

import pytest

from meter.kafka.records import Record
from meter.stage.moves import Moves
from schemas.moves import Move
from schemas.topics import ACCOUNT_COMMANDS, WALLET_INPUTS
from tests.properties.memory_log import stored

MOVES = Moves(WALLET_INPUTS, 0, 1)


@pytest.mark.parametrize(("first_ms", "arrived_ms"), [(1_000, 1_000), (9_000, 5_000)])
def test_a_moved_command_arrived_where_it_lay_first(first_ms: int, arrived_ms: int) -> None:
    """A purchase that was moved late is not from the future by that; a forged later time counts for nothing."""
    headers = Move(ACCOUNT_COMMANDS.name, 2, 7, first_ms).headers([], 500)
    moved = stored(WALLET_INPUTS.name, 0, 0, Record(b"w", b"{}", headers), 5_000)
    assert MOVES.arrived_ms(moved) == arrived_ms


def test_a_record_that_was_not_moved_arrived_where_it_lies() -> None:
    """Headers of its own change nothing."""
    plain = stored(WALLET_INPUTS.name, 0, 0, Record(b"w", b"{}", [("moved-from", b"nowhere")]), 5_000)
    assert MOVES.arrived_ms(plain) == 5_000

"""What looks like the number of a card, and where it is kept from."""

import json
from typing import Any

import pytest

from meter.commands.mover import CommandMover
from meter.gateway.bodies import Body
from meter.gateway.intake import COMMANDS, sort_out
from meter.kafka.records import Record
from schemas.card_numbers import looks_like_card_number
from schemas.dead_letters import SHORTENED
from schemas.topics import ACCOUNT_COMMANDS, DEAD_LETTERS, WALLET_INPUTS
from tests.oracle.build import NOW, command
from tests.packed_records import listed
from tests.properties.memory_log import stored

NUMBERS = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "my card is 4242 4242 4242 4242, thanks",
    "4242 4242 4242 4242 12 27 123",
    "no. 1: 4242 4242 4242 4242",
    "4242 - 4242 - 4242 - 4242",
    "4222222222222",
    "378282246310005",
    "6304000000000000000",
    "4242\u00a04242\u20134242\u20114242",
    "\uff14\uff12\uff14\uff12424242424242",
]
OTHERS = [
    "",
    "Visa ··4242",
    "4242424242424241",
    "424242424242",
    "00000000000000000000",
    "4242.4242.4242.4242",
    "pm_1NqZ8s2eZvKYlo2C",
    "2027-03",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_card_number_is_found(text: str) -> None:
    """13 to 19 digits with their check digit, with any blanks and dashes, also before an expiry."""
    assert looks_like_card_number(text)


@pytest.mark.parametrize("text", OTHERS)
def test_other_digits_are_not_card_numbers(text: str) -> None:
    """A wrong check digit, too few digits, too many, or other signs between them."""
    assert not looks_like_card_number(text)


@pytest.mark.parametrize(
    "data",
    [
        {"label": "4242 4242 4242 4242"},
        {"label": "Visa", "number": "4242424242424242"},
        {"label": "Visa", "number": 4242424242424242},
        {"label": "Visa", "card": [{"pan": "4242424242424242"}]},
        {"label": "Visa", "4242424242424242": 1},
    ],
    ids=str,
)
def test_a_method_with_a_card_number_is_kept_nowhere(data: dict[str, Any]) -> None:
    """It is refused before it gets to the topic of inputs, and its dead letter repeats nothing of it."""
    value = command("method.saved", 0, method_id="m", kind="card", **data)
    record = stored(ACCOUNT_COMMANDS.name, 0, 0, Record(b"w", value), NOW)
    outputs = {output.topic.name: listed(output.records) for output in CommandMover(0, 1).process([record])}
    assert outputs[WALLET_INPUTS.name] == []
    (letter,) = outputs[DEAD_LETTERS.name]
    headers = dict(letter.headers or [])
    assert headers["code"] == b"card_number"
    assert headers[SHORTENED] == b"value"
    assert "4242" not in json.dumps([str(part) for part in letter])


def test_the_gateway_takes_no_method_with_a_card_number() -> None:
    """It writes commands to the topic of inputs itself, past the mover."""
    values = [
        command("method.saved", 0, method_id="m", kind="card", label=label, note=note)
        for label, note in (("Visa ··4242", ""), ("4242 4242 4242 4242", ""), ("Visa", "4242424242424242"))
    ]
    found = sort_out(Body(values, False), COMMANDS, lambda _: None)
    assert [item.number for item in found.accepted] == [0]
    assert [(number, problem.code) for number, problem in found.refused] == [(1, "card_number"), (2, "card_number")]
    assert "4242 4242" not in str([problem.detail for _, problem in found.refused])


def test_a_method_without_one_moves() -> None:
    """As it is."""
    value = command("method.saved", 0, method_id="m", kind="card", label="Visa ··4242")
    record = stored(ACCOUNT_COMMANDS.name, 0, 0, Record(b"w", value), NOW)
    outputs = {output.topic.name: listed(output.records) for output in CommandMover(0, 1).process([record])}
    assert [each.value for each in outputs[WALLET_INPUTS.name]] == [value]

"""The messages of publishing as people read them: K12, K19 to K28."""

from string import Formatter
from typing import get_args

import msgspec
import pytest

from meter.core.wallet.commands.publishing import PublishRequest, decide
from meter.core.wallet.entitlements import BotCredit
from schemas.publish_messages import MESSAGES, Figures, MessageKey, attribution, fill

USD = 1_000_000
WITH_CREDIT = Figures(
    bot="Help", balance_micros=7 * USD, free_micros=4 * USD, paid_micros=3 * USD, units=35, unit="session"
)

TEXTS: list[tuple[str, MessageKey, str, str, str]] = [
    # points, key, kind, action, text
    (
        "K19 K16",
        "first_zero_balance",
        "error",
        "add_funds",
        "There is no credit to publish Help with. Add funds first.",
    ),
    ("K20 K18", "payment_processed", "success", "publish_now", "The credit is there: $7.00. You can publish Help now."),
    ("K20", "payment_processed_published", "success", "none", "The credit is there: $7.00. Help is published."),
    (
        "K21",
        "first_with_free",
        "success",
        "add_funds",
        "Help is published. It uses the workspace's free credit: enough for 35 sessions.",
    ),
    ("K22", "low_balance", "warning", "add_funds", "Help is published. Its paid balance is low: $3.00."),
    ("K23", "zero_balance", "error", "add_funds", "Free and paid credit are used up. Add funds to publish Help."),
    ("K24", "with_own_paid", "success", "none", "Help is published. Its paid credit is ready: $3.00."),
    ("K25", "with_own_free", "success", "none", "Help is published. Its own free credit is enough for 35 sessions."),
    (
        "K26",
        "with_shared_free",
        "info",
        "add_funds",
        "Help is published on free credit that all bots share: $4.00 left.",
    ),
    (
        "K27",
        "with_shared_paid",
        "success",
        "none",
        "Help is published. It uses the workspace's shared paid credit: $3.00.",
    ),
    (
        "K28",
        "payment_in_progress",
        "warning",
        "view_orders",
        "An earlier payment has no outcome yet. Wait for it, then add funds or publish Help.",
    ),
]


@pytest.mark.parametrize(("points", "key", "kind", "action", "text"), TEXTS, ids=[each[0] for each in TEXTS])
def test_a_message_reads(points: str, key: MessageKey, kind: str, action: str, text: str) -> None:
    """With the bot's name, the money and the units filled in."""
    assert points
    filled = fill(MESSAGES[key], WITH_CREDIT)
    assert (filled.kind, filled.action, filled.text) == (kind, action, text)


def test_the_line_of_attribution_names_the_vendor() -> None:
    """K12, K13: on the web channel, while a bot lives on free credit."""
    line = attribution("{Acme}")
    assert (line.kind, line.title, line.text) == ("info", "Powered by {Acme}", "This assistant runs on free credit.")


def test_there_is_a_message_for_every_key() -> None:
    """And none for another one."""
    assert set(MESSAGES) == set(get_args(MessageKey))


def test_every_message_is_a_heading_and_a_sentence() -> None:
    """Two messages that say the same could not be told from each other."""
    for message in MESSAGES.values():
        assert message.title
        assert not message.title.endswith(".")
        assert message.text.endswith(".")
    assert len({message.text for message in MESSAGES.values()}) == len(MESSAGES)


def test_a_text_names_only_figures_that_are_filled_in() -> None:
    """A translation may use each of them, in any order."""
    named = {name for message in MESSAGES.values() for _, name, _, _ in Formatter().parse(message.text) if name}
    assert named <= {"bot", "balance", "free", "paid", "units", "unit"}


def test_a_bot_may_have_any_name() -> None:
    """Braces in a name are no figures."""
    figures = msgspec.structs.replace(WITH_CREDIT, bot="{paid} {0} {")
    assert fill(MESSAGES["zero_balance"], figures).text.endswith("to publish {paid} {0} {.")


@pytest.mark.parametrize(
    ("units", "text"), [(1, "1 conversation."), (2_500, "2,500 conversations."), (None, "any number of conversations.")]
)
def test_units_are_counted_in_words(units: int | None, text: str) -> None:
    """One, many, and no number where a unit costs nothing."""
    figures = msgspec.structs.replace(WITH_CREDIT, units=units, unit="conversation")
    assert fill(MESSAGES["first_with_free"], figures).text.endswith(text)


def test_a_decision_fills_in_its_own_figures() -> None:
    """K21: the workspace's credit, in units of the bot's plan."""
    request = PublishRequest(
        credit=BotCredit(free_micros=500 * USD), unit_micros=200_000, channels=("webchat",), approved=True
    )
    assert decide(request).message("Help", request).text.endswith("enough for 2,500 conversations.")

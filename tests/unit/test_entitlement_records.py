"""When a record of what a bot may do is written, and what it says: cases as in an account's pages."""

from typing import Any

import msgspec
import pytest

from meter.charger.charger import Charger
from meter.charger.entitlements import REFRESH_BYTES
from meter.core.policy import Policy, PolicyInForce
from meter.core.wallet.answer_reach import step_of
from meter.kafka.records import Record
from schemas.entitlements import EXACT_UNITS, EntitlementRecord, encode_entitlement
from schemas.metered import SafePoint, decode_wallet_input
from schemas.policy import encode_policy
from schemas.topics import WALLET_INPUTS
from tests.oracle.build import DAY, HOUR, NOW, STANDARD, T0, command
from tests.properties.memory_log import stored
from tests.properties.test_entitlement_records import records
from tests.unit.wallet_harness import WalletHarness

USD = 1_000_000
CENT = 10_000
Line = tuple[str, str, int, int | None]
"""(bot, status, what it can spend in cents, its units)."""


class Account(WalletHarness):
    """A wallet whose records are looked at."""

    def says(self) -> list[Line]:
        """The records that the inputs since the last call have caused."""
        return [line(record) for record in self.wallets.take_entitlements()]


def line(record: EntitlementRecord) -> Line:
    assert record.active == (record.status != "Inactive")
    return record.bot_id, record.status, record.available_micros // CENT, record.allowed_units


def conversations(account: Account, number: int, bot: str = "b", *, begin: int = 0) -> list[Line]:
    """One more conversation after another, in the log of one account."""
    lines: list[Line] = []
    for at in range(begin, begin + number):
        account.conversation(at * HOUR, id=f"{bot}-{at}", bot=bot)
        lines += account.says()
    return lines


def test_a_bot_is_suspended_by_the_unit_that_uses_up_its_credit_and_woken_by_a_purchase() -> None:
    """C10, E1, J24: below eight units each one is a record."""
    account = Account(STANDARD, command("grant.assigned", grant_id="g", amount_micros=600_000))
    account.command("bot.created", bot_id="b", name="Bo")
    assert account.says() == [("b", "Using Free Credits", 60, 3)]
    assert conversations(account, 3) == [
        ("b", "Using Free Credits", 40, 2),
        ("b", "Using Free Credits", 20, 1),
        ("b", "Inactive", 0, 0),
    ]
    assert conversations(account, 1, begin=3) == []  # It overdraws and stays suspended.
    account.command("credits.purchased", order_id="o", amount_micros=USD, method="card")
    assert account.says() == [("b", "Low Balance", 80, 4)]


def test_a_bot_with_much_credit_causes_few_records() -> None:
    """Four a doubling: 800 conversations from 1,000 units down to 200."""
    account = Account(STANDARD, command("credits.purchased", order_id="o", amount_micros=200 * USD, method="card"))
    lines = conversations(account, 800)
    assert [units for _, _, _, units in lines] == [999, 895, 767, 639, 511, 447, 383, 319, 255, 250, 223]


def test_credit_of_one_bot_is_no_record_of_another() -> None:
    account = Account(STANDARD)
    for bot in ("a", "b"):
        account.command("bot.created", bot_id=bot)
    assert account.says() == [("a", "Inactive", 0, 0), ("b", "Inactive", 0, 0)]
    account.command("credits.purchased", order_id="1", amount_micros=100 * USD, method="card", bot_id="b")
    assert account.says() == [("b", "Sufficient funds", 10_000, 500)]
    account.command("credits.purchased", order_id="2", amount_micros=USD, method="card")
    assert account.says() == [("a", "Low Balance", 100, 5)]  # Of the step of b: 500 and 505 are in one.


def test_a_bot_that_an_event_names_has_a_record_with_the_charge_in_it() -> None:
    account = Account()
    account.conversation(0, bot="unheard")
    assert account.says() == [("unheard", "Using Free Credits", 49_980, 2_499)]


def test_a_workspace_that_is_held_has_no_record_until_a_command_creates_it() -> None:
    account = Account(policy=Policy(unknown_workspace="hold"))
    account.conversation(0)
    assert account.says() == []
    account.command("workspace.created", plan="standard", free_grant_micros=USD)
    assert account.says() == [("b", "Using Free Credits", 80, 4)]


def test_free_credit_that_lapses_suspends_every_bot() -> None:
    account = Account(STANDARD, command("grant.assigned", -DAY, grant_id="g", amount_micros=USD))
    for bot in ("a", "b"):
        account.command("bot.created", bot_id=bot)
    account.says()
    account.passes(89 * DAY - 1)
    assert account.says() == []
    account.passes(89 * DAY)
    assert account.says() == [("a", "Inactive", 0, 0), ("b", "Inactive", 0, 0)]


def test_a_plan_counts_from_its_command_on_and_not_before_its_time_if_that_is_later() -> None:
    """Enterprise at 10 cents a session: twice as many units."""
    account = Account(STANDARD, command("grant.assigned", grant_id="g", amount_micros=USD))
    account.command("bot.created", bot_id="b")
    account.says()
    price: dict[str, Any] = {"plan": "enterprise", "session_price_micros": 100_000}
    now, later = (decode_wallet_input(command("plan.changed", at, **price)) for at in (0, DAY))
    account.wallets.step(later, 1, T0)
    assert account.says() == []
    account.passes(DAY - 1)
    assert account.says() == []
    account.passes(DAY)
    assert account.says() == [("b", "Using Free Credits", 100, 10)]
    other = Account(STANDARD, command("grant.assigned", grant_id="g", amount_micros=USD))
    other.command("bot.created", bot_id="b")
    other.says()
    other.wallets.step(now, 1, T0)
    assert other.says() == [("b", "Using Free Credits", 100, 10)]


def test_ten_thousand_bots_are_suspended_by_one_unit() -> None:
    account = Account(STANDARD, command("grant.assigned", grant_id="g", amount_micros=400_000))
    for number in range(10_000):
        account.command("bot.created", bot_id=f"b-{number}")
    account.says()
    account.conversation(0, bot="b-1", id="1")
    assert {status for _, status, _, _ in account.says()} == {"Using Free Credits"}
    account.conversation(HOUR, bot="b-2", id="2")
    lines = account.says()
    assert (len(lines), {status for _, status, _, _ in lines}) == (10_000, {"Inactive"})


@pytest.mark.parametrize(
    ("units", "step"),
    [
        (0, (0, 1)),
        (7, (7, 8)),
        (8, (8, 10)),
        (9, (8, 10)),
        (10, (10, 12)),
        (15, (14, 16)),
        (16, (16, 20)),
        (1_000, (896, 1_024)),
    ],
)
def test_steps_are_four_a_doubling(units: int, step: tuple[int, int]) -> None:
    assert step_of(units) == step


def test_no_more_than_a_fifth_of_the_stated_units_may_be_gone() -> None:
    for units in range(EXACT_UNITS, 5_000):
        first, following = step_of(units)
        assert first <= units < following
        assert 5 * first >= 4 * (following - 1)


def test_records_are_written_again_after_a_restore_each_hour_and_after_a_policy() -> None:
    """At most so many bytes with one checkpoint; the last word of a worker that was superseded does not stand."""
    charger = Charger(Policy(), 0)
    names = sorted(f"w-{number}" for number in range(600))
    created = [command("bot.created", bot_id="b", ws=name) for name in names]
    created += [command("workspace.created", plan="standard", ws=name) for name in names]
    last = len(created) - 1
    process(charger, 0, created)
    parts: list[list[EntitlementRecord]] = []
    while written := records(charger.confirm(last)):
        parts.append(written)
    assert len(parts) > 1
    assert all(sum(len(encode_entitlement(each)) for each in some) < 2 * REFRESH_BYTES for some in parts)
    assert sorted(each.workspace_id for some in parts for each in some) == names
    assert {each.version for some in parts for each in some} == {last}
    passed(charger, last + 1, T0)
    assert records(charger.confirm(last + 1))  # Event time has begun.
    while records(charger.confirm(last + 1)):
        pass
    passed(charger, last + 2, T0 + HOUR - 1)
    assert not records(charger.confirm(last + 2))
    passed(charger, last + 3, T0 + HOUR)
    assert records(charger.confirm(last + 3))
    while records(charger.confirm(last + 3)):
        pass
    newer = PolicyInForce(policy=Policy(debit_order="paid_first"), version=2).record()
    process(charger, last + 4, [encode_policy(newer)])
    assert records(charger.confirm(last + 4))
    anew = Charger(Policy(), 0)
    anew.load(last + 4, charger.sweep(2**40)[0])
    anew.finish(charger.mark(), -1)
    assert records(anew.confirm(last + 4))


def test_the_bots_of_one_workspace_are_written_again_in_parts() -> None:
    charger = Charger(Policy(), 0)
    bots = sorted(f"b-{number}" for number in range(900))
    process(charger, 0, [command("workspace.created", plan="standard")])
    process(charger, 1, [command("bot.created", bot_id=bot) for bot in bots])
    parts: list[list[EntitlementRecord]] = []
    while written := records(charger.confirm(900)):
        parts.append(written)
    assert len(parts) > 1
    assert all(sum(len(encode_entitlement(each)) for each in some) < 2 * REFRESH_BYTES for some in parts)
    assert [each.bot_id for some in parts for each in some] == bots


def passed(charger: Charger, offset: int, watermark_ms: int) -> None:
    """Event time has come so far."""
    point = SafePoint(origin_partition=0, origin_offset=offset, watermark_ms=watermark_ms)
    process(charger, offset, [msgspec.json.encode(point)])


def process(charger: Charger, first: int, values: list[bytes]) -> None:
    """A batch, whose outputs are not looked at."""
    batch = [stored(WALLET_INPUTS.name, 0, first + at, Record(b"k", value), NOW) for at, value in enumerate(values)]
    for _ in charger.process(batch):
        pass

"""Reaches and bounds of answers: while balances are within them, no answer differs. Small numbers, to meet edges."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.wallet.answer_reach import reach, step_of
from meter.core.wallet.answers import Answer, Answers
from meter.core.wallet.entitlements import BotCredit, Reload, entitlement
from schemas.commands import PlanName

LOW: Final = 2
MANY: Final = max(1_500, settings().max_examples)
moves = st.integers(-4, 4)
few = st.integers(-4, 6)
not_negative = st.integers(0, 4)
prices = st.sampled_from((0, 1, 2, 3))
plans: st.SearchStrategy[PlanName] = st.sampled_from(("standard", "enterprise"))
reloads = st.none() | st.integers(1, 5).map(lambda amount: Reload(reload_micros=amount, in_flight=True))


def answered(credit: BotCredit, plan: PlanName, price: int, reload: Reload | None) -> Answer:
    found = entitlement(credit, plan, price, low_micros=LOW, reload=reload)
    units = None if found.allowed_units is None else step_of(found.allowed_units)[0]
    return Answer(found.reason, found.status, plan, units, found.attribution)


@settings(max_examples=MANY)
@given(not_negative, not_negative, few, plans, prices, reloads, moves, moves)
def test_within_reach_an_answer_stays_the_same(
    free: int, own: int, shared: int, plan: PlanName, price: int, reload: Reload | None, by_free: int, by_shared: int
) -> None:
    """With any free and shared credit, as long as free credit neither begins nor ends."""
    before = BotCredit(free_micros=free, designated_micros=own, shared_micros=shared)
    after = BotCredit(free_micros=max(0, free + by_free), designated_micros=own, shared_micros=shared + by_shared)
    found = reach(before, plan, price, LOW, reload.bridged_micros if reload else 0)
    assert found.includes(free + shared, shared)
    is_within = found.includes(after.free_micros + after.shared_micros, after.shared_micros)
    if is_within and (free > 0) == (after.free_micros > 0):
        assert answered(before, plan, price, reload) == answered(after, plan, price, reload)


BOTS: Final = ("a", "b", "c")
acts = st.tuples(st.sampled_from(("free", "shared", *BOTS)), moves)


@settings(max_examples=MANY)
@given(st.lists(acts, max_size=25), st.tuples(prices, prices, prices))
def test_bounds_leave_no_bot_out_whose_answer_differs(history: list[tuple[str, int]], price: tuple[int, ...]) -> None:
    """Of three bots with prices and credit of their own: after each movement the answers are those of the balances."""
    balances = dict.fromkeys(("free", "shared", *BOTS), 0)
    answers, known = Answers({}, has_free=False), dict[str, Answer]()

    def credit(bot: str) -> BotCredit:
        return BotCredit(
            free_micros=balances["free"], designated_micros=balances[bot], shared_micros=balances["shared"]
        )

    def put(bot: str) -> None:
        cost = price[BOTS.index(bot)]
        known[bot] = answered(credit(bot), "standard", cost, None)
        answers.put(bot, known[bot], reach(credit(bot), "standard", cost, LOW, 0))

    for bot in BOTS:
        put(bot)
    for pocket, by in history:
        before = balances[pocket]
        balances[pocket] = before + by if pocket == "shared" else max(0, before + by)
        if pocket in BOTS:
            answers.add_own(pocket, balances[pocket] - before)
        paid = balances["shared"] + sum(balances[bot] for bot in BOTS)
        for bot in answers.left(balances["free"], paid) | ({pocket} & set(BOTS)):
            put(bot)
        expected = {bot: answered(credit(bot), "standard", cost, None) for bot, cost in zip(BOTS, price, strict=True)}
        assert known == expected

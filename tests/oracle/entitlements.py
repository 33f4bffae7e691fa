"""What a bot may do, written a second time, naively: pockets in the order in which they pay, units one by one."""

from dataclasses import dataclass

LOW = 50_000_000


@dataclass(frozen=True)
class Bot:
    """A bot's plan and the credit that it can spend. `thresholds`: its own and the shared one; None: never set."""

    plan: str = "standard"
    free: int = 0
    designated: int = 0
    shared: int = 0
    overdraft: int = 0
    price: int = 200_000
    order: str = "free_first"
    thresholds: tuple[int | None, int | None] = (None, None)
    reload: int = 0
    in_flight: bool = False
    last_failed: bool = False


@dataclass(frozen=True)
class Answer:
    """What the rules say about it. `units` of None: as many as it likes."""

    status: str
    why: str
    units: int | None
    attribution: bool


def answer(bot: Bot) -> Answer:
    """ADR 33, Entitlements: from the sentences there, in their order."""
    paid = [("paid", bot.designated), ("paid", bot.shared)]
    free = [("free", bot.free)]
    pockets = free + paid if bot.order == "free_first" else paid + free
    floor = -bot.overdraft if bot.plan == "enterprise" else 0
    total = sum(amount for _, amount in pockets)
    attribution = bot.plan == "standard" and all(amount <= 0 for _, amount in paid)
    if total <= floor:
        if bot.in_flight and not bot.last_failed and total + bot.reload > floor:
            return Answer(_by_balance(bot), "reload", _units(total - floor, bot.price), attribution)
        return Answer("Inactive", "nothing", _units(total - floor, bot.price), attribution)
    why = next((name for name, amount in pockets if amount > 0), "contract")
    status = "Using Free Credits" if why == "free" else _by_balance(bot)
    return Answer(status, why, _units(total - floor, bot.price), attribution)


def _by_balance(bot: Bot) -> str:
    set_ones = [threshold for threshold in bot.thresholds if threshold is not None]
    limit = (set_ones or [LOW])[0]
    return "Sufficient funds" if bot.designated + bot.shared > limit else "Low Balance"


def _units(left: int, price: int) -> int | None:
    if price == 0:
        return None
    count = 0
    while left >= price:
        left -= price
        count += 1
    return count

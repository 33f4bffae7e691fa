"""Money: an integer number of micro-dollars, never a float (DOMAIN, Prices)."""

DOLLAR_MICROS = 1_000_000

STANDARD_CONVERSATION_MICROS = 200_000
"""The price of a conversation on the Standard plan: $0.20."""

STANDARD_FREE_GRANT_MICROS = 500 * DOLLAR_MICROS
"""The free grant of a new Standard workspace: $500, which pays for exactly 2,500 conversations."""

MOST_MICROS = 2**62
"""The most that a wallet is credited or charged in all: so its balances and each sum of them are 64-bit integers."""


def dollars(amount_micros: int) -> str:
    """Format `amount_micros` for people: -1234567 gives `-$1.234567`. There are two to six decimal places."""
    sign = "-" if amount_micros < 0 else ""
    whole, rest = divmod(abs(amount_micros), DOLLAR_MICROS)
    fraction = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{fraction}"

"""Money: an integer count of micro-dollars, never a float (DOMAIN, Prices)."""

DOLLAR_MICROS = 1_000_000

STANDARD_CONVERSATION_MICROS = 200_000
"""What a conversation costs on the Standard plan: $0.20."""

STANDARD_FREE_GRANT_MICROS = 500 * DOLLAR_MICROS
"""What a new Standard workspace is given: $500, which pays exactly 2,500 conversations."""


def dollars(amount_micros: int) -> str:
    """`amount_micros` for people: `-1234567` is `-$1.234567`, whole cents are written with two digits."""
    sign = "-" if amount_micros < 0 else ""
    whole, rest = divmod(abs(amount_micros), DOLLAR_MICROS)
    fraction = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{fraction}"

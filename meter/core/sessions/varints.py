"""Numbers in as few bytes as they need: seven bits a byte, the lowest first, the high bit in all except the last.

A number that can be negative is zigzag-encoded: n >= 0 as 2n, n < 0 as -2n - 1.
"""


def append_varint(packed: bytearray, number: int) -> None:
    """Append a number from 0 on."""
    while number >= 0x80:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)


def append_signed(packed: bytearray, number: int) -> None:
    """Append a number that may be negative."""
    append_varint(packed, 2 * number if number >= 0 else -2 * number - 1)


def decode_varint(packed: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at index `at`, and the index after it."""
    number = shift = 0
    while packed[at] >= 0x80:
        number |= (packed[at] & 0x7F) << shift
        shift += 7
        at += 1
    return number | packed[at] << shift, at + 1


def decode_signed(packed: bytes, at: int) -> tuple[int, int]:
    """Return what `append_signed` wrote at index `at`, and the index after it."""
    number, at = decode_varint(packed, at)
    return (number >> 1) ^ -(number & 1), at

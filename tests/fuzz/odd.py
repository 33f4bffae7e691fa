"""Values that are odd somewhere: at a limit, beyond it, of another type, or read differently by different programs."""

from random import Random
from typing import Any, Final

NUMBERS: Final[tuple[Any, ...]] = (
    *(0, -1, 1, 10**15, 10**15 + 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400),
    *(0.5, 1.0, -0.0, 1e15, 1e16, 1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, "", " ", "null", "0", "5", [], [1], [None], {}, {"a": {}}, [[]], {"": ""}, 0, 1, -1, 5.0),
    *("standard", "enterprise", "user", "bot", "agent", "developer", "in", "out", "1.0", "1.00", 1.0),
    *("chat.message", "chat.notification.alert", "chat.Message", "meter.safepoint", "meter.conversation"),
    *("billing.workspace.created", "billing.plan.changed", "billing.", "chat.message ", "chat.message\u0000"),
)
TEXTS: Final = (
    *(
        "",
        " ",
        "\u0000",
        "\n",
        "\x7f",
        "\x9b",
        "\u2028",
        "\ufeff",
        "\u200b",
        "\u202e",
        "\ufffd",
        "\uffff",
        "e\u0301",
        "é",
    ),
    *(
        "\ud83d",
        "\ude00",
        "x\ud83d\ud83d\ude00",
        "\ud83d\ude00",
        "\\",
        '"',
        "\\u0000",
        "\\ud83d",
        "'; DROP TABLE x",
        "${x}",
    ),
    *(
        "x" * 511,
        "x" * 512,
        "x" * 513,
        "😀" * 512,
        "😀" * 513,
        "ü" * 300,
        "x" * 5_000,
        "../../etc",
        "<b>",
        "%s%n",
        "İ",
        "ß",
    ),
)
TIMES: Final[tuple[Any, ...]] = (
    *("2026-09-07T06:16:48.818Z", "2026-09-07t06:16:48.818z", "2026-09-07 06:16:48Z", "2026-09-07T06:16:48,5Z"),
    *(
        "2026-09-07T06:16:48",
        "2026-09-07T06:16Z",
        "2026-09-07",
        "06:16:48Z",
        "20260907T061648Z",
        "2026-W37-1T06:16:48Z",
    ),
    *("2026-09-07T06:16:48+01:00", "2026-09-07T06:16:48+0100", "2026-09-07T06:16:48+01", "2026-09-07T06:16:48-00:00"),
    *(
        "2026-09-07T06:16:48+14:00",
        "2026-09-07T06:16:48+23:59",
        "2026-09-07T06:16:48+24:00",
        "2026-09-07T06:16:48+01:60",
    ),
    *("2026-09-07T06:16:48 Z", " 2026-09-07T06:16:48Z", "2026-09-07T06:16:48Z ", "2026-09-07T06:16:48Z\n", "now", ""),
    *(
        "2026-09-07T24:00:00Z",
        "2026-09-07T23:59:60Z",
        "2026-09-07T25:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
    ),
    *(
        "2026-09-07T06:16:48.Z",
        "2026-09-07T06:16:48.1Z",
        "2026-09-07T06:16:48.9999999Z",
        "2026-09-07T06:16:48.999999999999Z",
    ),
    *("1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.9999Z", "1970-01-01T00:00:00+00:01"),
    *("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
    *(
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "-2026-09-07T06:16:48Z",
        "+2026-09-07T06:16:48Z",
        "2099-01-01T00:00:00Z",
    ),
    *(
        "\uff12\uff10\uff12\uff16-09-07T06:16:48Z",
        "2026-09-07T06:16:48\u2212 01:00",
        "2026-09-07T06:16:48Z[UTC]",
        "Mon, 07 Sep 2026 06:16:48 GMT",
    ),
    *(0, 1_788_761_808, 1_788_761_808_818, 1.5, None, True, [], {}, "1788761808"),
)


def nested(rng: Random, depth: int) -> bytes:
    """Lists or objects, one in the other; sometimes they are not closed."""
    opened, closed = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inside = b"" if opened == b"[" else b"1"
    return opened * depth + inside + closed * rng.choice((depth, depth, depth - 1))

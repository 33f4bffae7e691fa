"""The engines' cases as feeds of ours, and their windows as conversations of ours.

A case knows its own unit of time. `stretch` says how many milliseconds the unit lasts here.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from meter.core.policy import Policy
from schemas.instants import DAY_MS
from tests.oracle.build import T0, chat

Span = tuple[str, int, int, int]
"""(key, first, last, messages): one conversation, in milliseconds since 1970."""

GAP_MS: Final = Policy().gap_ms
WATERMARK: Final = "whoever tells the time"


@dataclass(frozen=True)
class Case:
    """One case in the unit of its engine's test. `joined`: one gap apart is together; a key of None is a watermark.

    `windows` end with their last message, without what the engine adds to it.
    """

    name: str
    gap: int
    joined: bool
    arrivals: list[tuple[str | None, int]]
    windows: list[tuple[str, int, int, int]]
    horizon: int | None
    late: list[tuple[str, int]]

    @property
    def own_gap_ms(self) -> int:
        """Our gap for a unit of 1 ms: at most this far apart is together here."""
        return self.gap if self.joined else self.gap - 1

    @property
    def to_our_gap(self) -> int:
        """The stretch that makes the engine's gap our 15 minutes: exactly where equal is joined, just above where not.

        Times are whole units, so nothing else crosses the line: (gap - 1) * (GAP_MS / gap + 1) <= GAP_MS.
        """
        exact, rest = divmod(GAP_MS, self.gap)
        assert rest == 0
        assert (self.gap - 1) * (exact + 1) <= GAP_MS or self.joined
        return exact if self.joined else exact + 1

    def horizon_ms(self, stretch: int = 1) -> int:
        """The late horizon; a day where the engine's test has none."""
        return DAY_MS if self.horizon is None else self.horizon * stretch

    def lines(self, stretch: int = 1) -> list[bytes]:
        """User messages; a watermark is told by a developer's message, which belongs to no conversation."""
        return [
            chat(at * stretch, "developer", user=WATERMARK, id=f"e-{number}")
            if key is None
            else chat(at * stretch, user=key, id=f"e-{number}")
            for number, (key, at) in enumerate(self.arrivals)
        ]

    def late_lines(self, stretch: int = 1) -> list[bytes]:
        """Those of the lines that are refused."""
        lines = self.lines(stretch)
        return [line for arrival, line in zip(self.arrivals, lines, strict=True) if arrival in self.late]

    def expected(self, stretch: int = 1) -> Counter[Span]:
        """The engine's windows as conversations."""
        return Counter(
            (key, T0 + first * stretch, T0 + last * stretch, count) for key, first, last, count in self.windows
        )


def load(path: Path) -> list[Case]:
    """All cases of a file in the form that its head describes."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_case(one, **found["engines"][one["engine"]]) for one in found["cases"]]


def _case(one: dict[str, Any], equal: str, end: str) -> Case:
    past_last = one["gap"] if end == "plus_gap" else 0
    windows = [(key, *window) for key, windows in one["windows"].items() for window in windows]
    return Case(
        name=" ".join(str(one[word]) for word in ("engine", "test", "part") if word in one),
        gap=one["gap"],
        joined=equal == "joined",
        arrivals=[(key, at) for key, at in one["arrivals"]],
        windows=[(key, start, end - past_last, count) for key, start, end, count in windows],
        horizon=one.get("horizon"),
        late=[(key, at) for key, at in one.get("late", [])],
    )


CASES: Final = load(Path(__file__).with_name("cases.yml"))

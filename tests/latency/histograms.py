"""Percentiles of what a worker tells Prometheus, between two looks, and of plain samples."""

import re
from collections.abc import Sequence
from math import ceil, inf
from typing import NamedTuple

Counts = dict[float, float]
"""Of every bound in seconds, how many observations were not above it."""


class Percentiles(NamedTuple):
    """In milliseconds. Of a histogram, `most_ms` is the bound of the last bucket that holds anything."""

    observations: int
    p50_ms: float
    p99_ms: float
    most_ms: float

    def __str__(self) -> str:
        p50, p99, most = f"{self.p50_ms:.0f} ms", f"{self.p99_ms:.0f} ms", f"{self.most_ms:.0f} ms"
        return f"p50 {p50}, p99 {p99}, at most {most}, of {self.observations:,}"


def counts_of(metrics: str, name: str) -> Counts:
    """The buckets of a histogram in what /metrics answered."""
    found = re.findall(rf'^{name}_bucket\{{le="([^"]+)"\}} (\S+)$', metrics, re.MULTILINE)
    return {float(bound): float(count) for bound, count in found}


def between(before: Counts, after: Counts) -> Percentiles | None:
    """What was observed between two looks, in a bucket as if evenly, as Prometheus has it; None if nothing was."""
    counts = {bound: count - before.get(bound, 0) for bound, count in sorted(after.items())}
    total = counts.get(inf, 0)
    if not total:
        return None
    most_s = next(bound for bound, count in counts.items() if count == total)
    return Percentiles(int(total), _quantile_ms(counts, 0.5), _quantile_ms(counts, 0.99), most_s * 1000)


def _quantile_ms(counts: Counts, share: float) -> float:
    wanted = share * counts[inf]
    below_s, below = 0.0, 0.0
    for bound_s, count in counts.items():
        if count >= wanted:
            part = (wanted - below) / (count - below) if count > below else 1.0
            return (below_s if bound_s == inf else below_s + part * (bound_s - below_s)) * 1000
        below_s, below = bound_s, count
    raise AssertionError("the last bound takes all")


def of_samples(samples_ms: Sequence[float]) -> Percentiles | None:
    """Of single measurements: the smallest that so large a share is not above."""
    ordered = sorted(samples_ms)
    if not ordered:
        return None
    p50_ms, p99_ms = (ordered[ceil(share * len(ordered)) - 1] for share in (0.5, 0.99))
    return Percentiles(len(ordered), p50_ms, p99_ms, ordered[-1])

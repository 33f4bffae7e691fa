"""Commands that depend on nothing but their own time: tied, late, in the future, many to a slice."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from tests.feeds.lines import DAY_MS, HOUR_MS, MINUTE_MS, envelope, is_command, line, time_of

PLANS = ({"plan": "standard"}, {"plan": "enterprise", "session_price_micros": 70_001})
CREATED_LATE = ("stranger", "café")


@contextmanager
def some_slice_size(rng: Random) -> Iterator[None]:
    """A rebilling pauses after each conversation, after few, or not at all. Long lists take many chunks, or one."""
    with (
        patch("meter.core.wallet.rebilling.SLICE_CONVERSATIONS", rng.choice((1, 2, 1_000))),
        patch("meter.core.wallet.rebilling.LOOKED_AT", rng.choice((2, 1_000))),
        patch("meter.core.wallet.chunks.CHUNK_ROWS", rng.choice((1, 2, 64))),
    ):
        yield


def with_orders(lines: list[bytes], rng: Random, now_ms: int) -> list[bytes]:
    """The feed with commands among its events, each early enough that all that it concerns is remembered."""
    events = [number for number, text in enumerate(lines) if not is_command(text)]
    orders: list[tuple[int, bytes]] = []
    if rng.random() < 0.5:
        orders += _tied(lines, rng.choice(events), rng)
    for workspace in CREATED_LATE:
        if rng.random() < 0.5:
            orders += _created(lines, events, workspace, rng)
    if rng.random() < 0.2:
        ahead = _command("credits.purchased", now_ms + HOUR_MS, "ahead", "prepaid", **_bought("ahead"))
        orders.append((rng.choice(events), ahead))
    if rng.random() < 0.3:
        given = {"grant_id": "ahead", "amount_micros": 5_000_000}
        orders.append((rng.choice(events), _command("grant.assigned", now_ms + DAY_MS, "to-come", "prepaid", **given)))
    for number, text in sorted(orders, key=lambda order: order[0], reverse=True):
        lines = [*lines[: number + 1], text, *lines[number + 1 :]]
    return lines


def _tied(lines: list[bytes], number: int, rng: Random) -> Iterator[tuple[int, bytes]]:
    """Plans of one workspace, all for one instant, in any order of their ids."""
    at = _newest(lines[: number + 1]) - rng.choice((0, MINUTE_MS, 20 * HOUR_MS))
    workspace = rng.choice(("mixed", "enterprise"))
    for each in rng.sample(range(4), 3):
        yield number, _command("plan.changed", at, f"tied-{each}", workspace, **rng.choice(PLANS))


def _created(lines: list[bytes], events: list[int], workspace: str, rng: Random) -> Iterator[tuple[int, bytes]]:
    """A workspace that its first event has created already."""
    quoted = line({"workspace_id": workspace})[1:-1]
    first = next((number for number in events if quoted in lines[number]), None)
    if first is None:
        return
    begins = min(at for number in events if quoted in lines[number] if (at := time_of(lines[number])) is not None)
    near = [each for each in events if each >= first and _newest(lines[: each + 1]) < begins + DAY_MS]
    if near:
        at = begins - rng.choice((0, HOUR_MS, -HOUR_MS))
        plan = rng.choice(PLANS) | rng.choice(({}, {"free_grant_micros": 300_000}))
        yield rng.choice(near), _command("workspace.created", at, "late", workspace, **plan)


def _newest(lines: list[bytes]) -> int:
    return max(time_of(text) or 0 for text in lines if not is_command(text))


def _bought(order_id: str) -> dict[str, object]:
    return {"order_id": order_id, "amount_micros": 5_000_000, "method": "card"}


def _command(kind: str, at: int, command_id: str, workspace: str, **data: object) -> bytes:
    return line(envelope(f"billing.{kind}", at, command_id, "/orders", {"workspace_id": workspace, **data}))

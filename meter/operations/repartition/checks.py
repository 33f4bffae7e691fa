"""Whether a repartition may begin: what there is, what is asked for, and what it would do to events that come late."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from meter.charger.state import decode_mark as decode_wallets
from meter.core.policy import PolicyInForce
from meter.operations.cluster import OperationError
from meter.operations.repartition.draining import Marks, lowest_policy
from meter.operations.repartition.routes import Routes
from meter.operations.stages import SESSIONS, STAGES, WALLETS
from meter.sessionizer.sessionizer import decode_mark as decode_sessions
from meter.stage.lives import check_life
from meter.stage.mark import Life
from meter.stage.refusals import RefusalError
from schemas.instants import rfc3339
from schemas.layout import LayoutRecord
from schemas.topic_identity import TopicIdentity
from schemas.topics import CHAT_EVENTS
from schemas.versions import version_of

HOUR_MS: Final = 3_600_000


class Planned(NamedTuple):
    """A plan: the layout that a repartition begins or goes on with, and the topics that it changes.

    `added` has the topics with too few partitions, and how many they have. `layout` is None if all topics fit.
    """

    layout: LayoutRecord | None
    added: dict[str, int]


def planned(layout: LayoutRecord | None, identities: Mapping[str, TopicIdentity], marks: Marks, after: int) -> Planned:
    """Return the plan that gives all topics `after` partitions. Raises OperationError if it cannot be done.

    `marks` are the newest ones; they are not looked at where a repartition has begun already.
    """
    counts = {name: each.partitions for name, each in identities.items()}
    if layout is not None and layout.step != "done":
        if layout.partitions != after:
            raise OperationError(
                f"a change from {layout.before} to {layout.partitions} partitions has begun and must come to its end "
                f"first: run `python -m meter repartition --to {layout.partitions} --yes`"
            )
        return Planned(layout, {name: count for name, count in counts.items() if count < after})
    before = layout.partitions if layout is not None else _partitions_of(marks) or min(counts.values())
    most, largest = max((count, name) for name, count in counts.items())
    if after < before or after < most:
        had = f"{largest} has {most}" if most > before else f"the topics have {before}"
        raise OperationError(f"{had} partitions, and Kafka takes none away: give --to {max(before, most)} or more")
    _check_lives(before, identities, marks)
    added = {name: count for name, count in counts.items() if count < after}
    if after == before:
        if added:
            raise OperationError(
                f"{', '.join(added)} must have {before} partitions like the state, and have fewer: they were created "
                "again; delete them, and run `KAFKA_PARTITIONS="
                f"{before} python -m meter topics`"
            )
        return Planned(None, {})
    generations = [saved.version.generation for part in marks.values() for saved in part.values()]
    generation = 1 + max([layout.generation if layout else 0, *generations])
    return Planned(LayoutRecord(generation=generation, partitions=after, before=before, step="begun"), added)


def _partitions_of(marks: Marks) -> int:
    """Return the number of partitions with which state was saved; 0 if there is none."""
    counts = {saved.mark.life.source.partitions for part in marks.values() for saved in part.values()}
    return max(counts, default=0)


def _check_lives(before: int, identities: Mapping[str, TopicIdentity], marks: Marks) -> None:
    """Check that all state was saved with these topics, when they had `before` partitions."""
    for stage in STAGES:
        now = Life(0, _former(identities[stage.source.name], before), _former(identities[stage.state.name], before))
        for saved in marks[stage.state.name].values():
            try:
                check_life(stage.source, stage.state, saved.mark.life, now)
            except RefusalError as refusal:
                raise OperationError(str(refusal)) from refusal


def _former(identity: TopicIdentity, before: int) -> TopicIdentity:
    return TopicIdentity(identity.cluster_id, identity.topic_id, before)


def check_drained(marks: Marks, before: int, newest: PolicyInForce) -> None:
    """Check that the former partitions are at rest: no policy under way, and no event charged that is not saved.

    Raises OperationError.
    """
    if newest.version > 1 and lowest_policy(marks, before) < newest.version:
        raise OperationError("a policy has not passed every partition yet: run the command again")
    for number, saved in marks[WALLETS.state.name].items():
        spoken = marks[SESSIONS.state.name].get(number)
        known = version_of(*spoken.version) if spoken else -1
        wallets = decode_wallets(saved.mark.fold)
        if wallets.held.goes_on:
            raise OperationError(
                f"what was held in {WALLETS.source.name}/{number} is not charged to its end: run the command again"
            )
        if wallets.source.newest_offset > known:
            raise OperationError(
                f"{CHAT_EVENTS.name}/{number} was charged beyond what is saved of it: run the command again"
            )


def check_clocks(marks: Marks, routes: Routes) -> None:
    """Refuse to merge a partition that holds old events into one whose event time is far ahead.

    Its next events would be late there. A partition is no such if its events are of the present: the next ones are of
    the present again, and late nowhere. Raises OperationError.
    """
    for group in range(routes.groups):
        numbers = [number for number in routes.sources(group) if number in marks[SESSIONS.state.name]]
        if not numbers:
            continue
        found = {number: decode_sessions(marks[SESSIONS.state.name][number].mark.fold) for number in numbers}
        ahead = max(found, key=lambda number: found[number].watermark_ms)
        for number, mark in found.items():
            horizon_ms = mark.in_force.policy.horizon_ms if mark.in_force else 24 * HOUR_MS
            is_live = mark.arrived_ms - mark.watermark_ms < horizon_ms
            behind_ms = found[ahead].watermark_ms - mark.watermark_ms
            if mark.watermark_ms > 0 and behind_ms > horizon_ms and not is_live:
                at, ahead_at = rfc3339(mark.watermark_ms), rfc3339(found[ahead].watermark_ms)
                raise OperationError(
                    f"{CHAT_EVENTS.name}/{number} holds old events, up to {at}, and would share partitions with "
                    f"{CHAT_EVENTS.name}/{ahead}, whose time is {ahead_at}, so its next events would be late: finish "
                    f"feeding it first, or give a --to that is a multiple of {routes.before}, or --advance-clocks if "
                    "nothing old will come"
                )

"""Records of the topic `entitlements`: those that an input has changed, and all of them again, in refreshes.

A record's version decides which one of a bot counts, and not its place. But compaction keeps the one that lies last: a
worker that was paused and superseded may put an old one there. So what stands is written again: after each restore,
after each policy, and each hour of event time (docs/adr/0035).
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from meter.core.wallet.wallets import Wallets
from meter.kafka.records import Record
from meter.stage.fold import Output
from schemas.entitlements import EntitlementRecord, encode_entitlement, entitlement_key
from schemas.instants import HOUR_MS
from schemas.topics import ENTITLEMENTS

REFRESH_MS: Final = HOUR_MS
"""How long after the last one a refresh begins. Far below `min.compaction.lag.ms` of the topic, so that the record that
counts is written again before compaction can remove it."""

REFRESH_BYTES: Final = 256 * 1024
"""How much of a refresh goes with one checkpoint."""

_CHUNK: Final = 1_000


def encoded_entitlements(found: Iterable[EntitlementRecord]) -> Iterator[Output]:
    """Yield outputs of at most 1,000 records each, so that few of them are in memory as bytes at once."""
    records = (_record(each) for each in found)
    while chunk := list(islice(records, _CHUNK)):
        yield Output(ENTITLEMENTS, chunk)


class Refresh:
    """The refreshes of one partition, one at a time. They are no state: a restore begins one."""

    def __init__(self) -> None:
        self._begun_ms = -REFRESH_MS
        self._policy_version = -1
        self._left: list[str] = []
        self._after = ""
        """The bot of the last workspace in `_left` that was written last; "" for none yet."""

    def next(self, wallets: Wallets, version: int) -> Iterator[Output]:
        """Yield the next records as of the input of `version`. Begins a refresh if it is time for one."""
        policy_version, clock_ms = wallets.in_force.version, wallets.clock_ms
        if not self._left and (policy_version != self._policy_version or clock_ms >= self._begun_ms + REFRESH_MS):
            self._policy_version, self._begun_ms = policy_version, clock_ms
            self._left = list(wallets.names())
        records: list[Record] = []
        size_bytes = 0
        while self._left and size_bytes < REFRESH_BYTES:
            for found in wallets.standing_entitlements(self._left[-1], version, self._after):
                records.append(_record(found))
                size_bytes += len(records[-1].value or b"")
                self._after = found.bot_id
                if size_bytes >= REFRESH_BYTES:
                    break
            else:
                self._left.pop()
                self._after = ""
        if records:
            yield Output(ENTITLEMENTS, records)


def _record(found: EntitlementRecord) -> Record:
    return Record(entitlement_key(found.workspace_id, found.bot_id), encode_entitlement(found))

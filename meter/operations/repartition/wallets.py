"""Copying wallets with all that belongs to them, and the marks with which their partitions go on."""

from collections.abc import Sequence

from meter.charger.state import Mark, decode_key, decode_mark, decode_wallet
from meter.core.wallet.held import Held
from meter.core.wallet.source import Source as EventSource
from meter.core.wallet.wallet import Wallet
from meter.kafka.records import Record
from meter.kafka.topics import delivered
from meter.operations.repartition.routes import Routes
from meter.operations.repartition.sessions import newest_policy
from meter.operations.repartition.sources import Source, entries
from meter.operations.repartition.targets import Targets
from meter.stage.ports import Topics
from schemas.ledger import LedgerUpdate, encode_ledger_update
from schemas.topics import LEDGER
from schemas.versions import version_of

_AT_ONCE = 1_000


def mark_of(source: Source) -> Mark:
    """Return the charger's part of the mark of a partition."""
    return decode_mark(source.mark.fold) if source.mark and source.mark.fold else Mark()


class WalletsCopy:
    """Copies the state of the charger. `offsets` are those of the marks with which the partitions go on."""

    def __init__(self, topics: Topics, routes: Routes, sources: Sequence[Source], offsets: Sequence[int]) -> None:
        self._topics = topics
        self._routes = routes
        self._sources = sources
        self._offsets = offsets
        self._marks = [mark_of(source) for source in sources]
        self.in_force = newest_policy([mark.in_force for mark in self._marks])
        self.workspaces = [0] * routes.after
        """The workspaces in each partition that have begun."""
        self.messages = [0] * routes.after
        """Messages of their closed conversations."""
        self._balances: list[Record] = []

    async def run(self, targets: Targets) -> None:
        """Copy each entry to its workspace's partition.

        The balance of a workspace that moves is written to the ledger once more, because it says in which partition its
        wallet is.
        """
        for source in self._sources:
            async for raw, value in entries(self._topics, source):
                key = decode_key(raw)
                target = self._routes.target(source.partition, key.workspace_id)
                await targets.add(target, raw, value)
                if key.kind == "wallet":
                    self._count(decode_wallet(value), source.partition, target)
                if len(self._balances) >= _AT_ONCE:
                    await self._write_balances()
        await targets.flush()
        await self._write_balances()

    def _count(self, wallet: Wallet, source: int, target: int) -> None:
        self.messages[target] += wallet.messages
        if wallet.since >= 0:
            self.workspaces[target] += 1
            if target != source:
                version = version_of(self._routes.generation, self._offsets[target])
                self._balances.append(_balance(wallet, target, version))

    async def _write_balances(self) -> None:
        await delivered(await self._topics.append_keyed(LEDGER.name, self._balances))
        self._balances = []

    def mark(self, own: Mark, target: int, spoken_offset: int) -> Mark:
        """Return the mark of a partition whose former one was `own`, empty for one that is new.

        `spoken_offset` is that of the sessionizer's mark. All metered updates of before are read, so they are repeats
        wherever they come again. Those that the repartition itself has caused are still to be read.
        """
        sources = self._routes.sources(self._routes.group(target))
        safe_offset = version_of(self._routes.generation, spoken_offset) - 1
        events = EventSource(
            safe_offset=safe_offset,
            watermark_ms=max(self._marks[number].source.watermark_ms for number in sources),
            newest_offset=safe_offset,
            messages=self.messages[target],
            occurrences=own.source.occurrences,
        )
        return Mark(events, own.refused, self.in_force, Held(slice=own.held.slice))


def _balance(wallet: Wallet, partition: int, version: int) -> Record:
    """Return a ledger update that changes only the partition. It is newer than all of before."""
    update = LedgerUpdate(
        workspace_id=wallet.workspace_id,
        partition=partition,
        version=version,
        produced_ms=0,
        entries=[],
        conversations=[],
        usage=[],
        balance=wallet.balance(),
        totals=wallet.totals(),
        since=wallet.since,
    )
    return Record(wallet.workspace_id.encode(), encode_ledger_update(update))

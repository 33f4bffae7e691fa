"""An observer: reads ledger and entitlements as they are written, and asks ClickHouse how far it has come."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from aggregator.clickhouse.client import ClickHouse
from schemas.entitlements import decode_entitlement
from schemas.ledger import decode_ledger_update
from schemas.topics import ENTITLEMENTS, LEDGER

ASK_EVERY_S: Final = 0.1
_HOW_FAR: Final = "SELECT wallet_partition, max(version) FROM balance_facts GROUP BY wallet_partition"


class Seen(NamedTuple):
    """An update, the Kafka timestamp of its oldest event, and when it was read here."""

    partition: int
    version: int
    produced_ms: int
    seen_ms: float
    is_last_credit: bool


class Observer:
    """Run all three until cancelled, then read the samples."""

    def __init__(self, bootstrap: str, clickhouse: ClickHouse) -> None:
        self._bootstrap, self._clickhouse = bootstrap, clickhouse
        self._updates: list[Seen] = []
        self._used_up: dict[str, int] = {}
        """By workspace the Kafka timestamp of the oldest event of the update that left it without credit."""
        self._suspended: dict[str, float] = {}
        """By workspace when the first record was read that suspends a bot of it."""
        self._in_clickhouse: list[tuple[float, dict[int, int]]] = []
        """When ClickHouse was asked, and the newest version of each partition that it had."""

    async def read_ledger(self) -> None:
        """Keep every update that an event has caused."""
        await self._read(LEDGER.name, self._take)

    async def read_entitlements(self) -> None:
        """Keep when bots are suspended."""
        await self._read(ENTITLEMENTS.name, self._take_entitlement)

    async def _read(self, topic: str, take: Callable[[bytes, float], None]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partitions = sorted(await consumer._client._wait_on_metadata(topic))
            consumer.assign([TopicPartition(topic, number) for number in partitions])
            while True:
                for records in (await consumer.getmany(timeout_ms=1_000)).values():
                    now_ms = time.time() * 1000
                    for record in records:
                        take(record.value, now_ms)
        finally:
            await consumer.stop()

    def _take(self, value: bytes, now_ms: float) -> None:
        update = decode_ledger_update(value)
        is_used_up = update.balance is not None and update.balance.free_micros + update.balance.paid_micros <= 0
        is_last_credit = is_used_up and update.workspace_id not in self._used_up
        if is_last_credit:
            self._used_up[update.workspace_id] = update.produced_ms
        if update.produced_ms:
            self._updates.append(Seen(update.partition, update.version, update.produced_ms, now_ms, is_last_credit))

    def _take_entitlement(self, value: bytes, now_ms: float) -> None:
        record = decode_entitlement(value)
        if not record.active:
            self._suspended.setdefault(record.workspace_id, now_ms)

    async def ask_clickhouse(self) -> None:
        """A worker writes the balances of an insert last, so they tell what is there."""
        while True:
            rows = await asyncio.to_thread(self._clickhouse.query, _HOW_FAR)
            self._in_clickhouse.append((time.time() * 1000, {int(number): int(version) for number, version in rows}))
            await asyncio.sleep(ASK_EVERY_S)

    def to_debit_ms(self, from_ms: float) -> list[float]:
        """Of each update whose oldest event is not before `from_ms`."""
        return [update.seen_ms - update.produced_ms for update in self._updates if update.produced_ms >= from_ms]

    def to_used_up_ms(self, from_ms: float) -> list[float]:
        """The same, of updates with the last credit of a workspace."""
        return [
            update.seen_ms - update.produced_ms
            for update in self._updates
            if update.is_last_credit and update.produced_ms >= from_ms
        ]

    def to_suspended_ms(self, from_ms: float) -> list[float]:
        """From the event with the last credit of a workspace to the first record that suspends one of its bots."""
        return [
            self._suspended[workspace_id] - produced_ms
            for workspace_id, produced_ms in self._used_up.items()
            if produced_ms >= from_ms and workspace_id in self._suspended
        ]

    def to_clickhouse_ms(self, from_ms: float) -> list[float]:
        """Until a look found the rows of the update or newer ones. Updates come in order, and so do the looks."""
        ages_ms: list[float] = []
        looks: dict[int, int] = {}
        for update in self._updates:
            at = looks.get(update.partition, 0)
            while (
                at < len(self._in_clickhouse) and self._in_clickhouse[at][1].get(update.partition, -1) < update.version
            ):
                at += 1
            looks[update.partition] = at
            if at < len(self._in_clickhouse) and update.produced_ms >= from_ms:
                ages_ms.append(self._in_clickhouse[at][0] - update.produced_ms)
        return ages_ms

"""The second stage: commands, metered updates and safe points in; ledger updates, outcomes and comparisons out."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from meter import metrics
from meter.charger.caused import due_slices, payment_requests
from meter.charger.charged_batch import ChargedBatch
from meter.charger.entitlements import Refresh, encoded_entitlements
from meter.charger.entries import Entries, keys_in_turn
from meter.charger.state import Mark, decode_mark, encode, restored_books
from meter.core.decode import read
from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.wallet.packed_books import MayBePacked, is_quiet
from meter.core.wallet.wallets import Wallets
from meter.kafka.fetched import Fetched, last_offset
from meter.kafka.records import Record
from meter.stage.blocks import Loading, Sweep, pack
from meter.stage.dead_letter import dead_letter, dead_letters, left_out
from meter.stage.fold import Output
from meter.stage.lives import check_origin
from meter.stage.mark import NO_LIFE, Life
from meter.stage.moves import WRONG_PARTITION, Moves, moves
from schemas.command_base import Command
from schemas.event_counts import CountComparison
from schemas.formats import METERED_FORMAT, refuse_newer_json
from schemas.metered import (
    ConversationMetered,
    HeldSlice,
    Metered,
    RebillSlice,
    SafePoint,
    WalletInput,
    decode_wallet_input,
)
from schemas.policy import PolicyRecord
from schemas.topics import EVENT_COUNTS, LEDGER, OUTCOMES, WALLET_INPUTS
from schemas.versions import version_of

_OfAll = SafePoint | PolicyRecord | HeldSlice
"""Inputs that concern all workspaces: their order to all others matters."""

UPDATE_INPUTS: Final = 2_000
"""How many inputs a ledger update may come from, at most. This bounds its size."""


class Charger:
    """The fold of one partition of wallet-inputs. Its state is the wallets, all of it in memory.

    `policy` is the one that the deployment began with. It is in force until the first newer policy record.
    `may_be_packed` says which books are packed at a checkpoint: those of quiet workspaces.
    """

    spills = False
    is_full = False

    def __init__(
        self, policy: Policy, partition: int, partitions: int = 1, may_be_packed: MayBePacked = is_quiet
    ) -> None:
        self._partition = partition
        self._may_be_packed = may_be_packed
        self._moves = Moves(WALLET_INPUTS, partition, partitions)
        self._first_policy = PolicyInForce(policy=policy)
        self._life = NO_LIFE
        self._refused = 0
        self._wallets = Wallets(self._first_policy, partition, may_be_packed=may_be_packed)
        self._entries = Entries()
        self._loading = Loading()
        self._sweep = Sweep(self._keys, self._value_of)
        self._refresh = Refresh()

    def load(self, offset: int, block: bytes) -> None:
        """Take the entries of a block. Raises ValueError where it breaks off."""
        self._loading.load(offset, block)

    def finish(self, mark: bytes | None, floor: int) -> None:
        """Begin with what was loaded. Raises ValueError where the mark or an entry cannot be decoded."""
        saved = decode_mark(mark) if mark else Mark()
        self._refused = saved.refused
        in_force = saved.in_force or self._first_policy
        self._wallets = Wallets(in_force, self._partition, saved.source, saved.held, self._may_be_packed)
        loaded, self._loading = self._loading.finish(floor), Loading()
        self._wallets.restore(restored_books(loaded))

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        """Charge a batch, between two safe points one workspace after another.

        Only the order of one workspace's inputs matters, and their order to inputs that concern all workspaces. Going
        by workspace is faster: its wallet stays in the processor's cache.
        """
        batch = ChargedBatch()
        inputs: _Inputs = defaultdict(list)
        for record in records:
            given = read(record.value, decode_wallet_input)
            if isinstance(given, Rejected):
                self._refuse_newer(record)
                self._refuse(batch, record, given)
            elif isinstance(given, _OfAll):
                if isinstance(given, SafePoint):
                    check_origin(given, self._life)
                self._charge(batch, inputs, record.offset - 1)
                inputs.clear()
                self._reach(batch, record, given)
            else:
                workspace_id = (given if isinstance(given, Metered | RebillSlice) else given.data).workspace_id
                if self._moves.is_misplaced(workspace_id):
                    if not self._is_of_earlier_life(given):
                        self._move(batch, record, given, workspace_id)
                else:
                    inputs[workspace_id].append((record, given))
        self._charge(batch, inputs, last_offset(records))
        batch.observe()
        self._observe_policy()
        yield dead_letters(sorted(batch.letters, key=lambda letter: letter.source_offset))
        yield moves(WALLET_INPUTS, WALLET_INPUTS, batch.moved)
        yield Output(LEDGER, batch.updates)
        yield from encoded_entitlements(self._wallets.take_entitlements())
        yield Output(OUTCOMES, batch.outcomes)
        yield payment_requests(self._wallets)
        yield due_slices(self._wallets, self._partition)
        yield Output(EVENT_COUNTS, batch.comparison_records())

    def begin(self, life: Life) -> None:
        """Take the life of the topics: its generation is part of all versions, its partitions are those of origins."""
        self._life = life

    def _refuse_newer(self, record: Fetched) -> None:
        """Raise NewerFormatError if a newer sessionizer wrote a record that this charger cannot read."""
        where = f"{WALLET_INPUTS.name}/{self._partition}, offset {record.offset}"
        refuse_newer_json(where, record.value, METERED_FORMAT, "meter.")

    def leave_out(self, record: Fetched, reason: str) -> Iterator[Output]:
        """Count the record as refused, and yield its dead letter."""
        self._refused += 1
        yield left_out(WALLET_INPUTS, self._partition, record, reason)

    def _charge(self, batch: ChargedBatch, inputs: "_Inputs", last_offset: int) -> None:
        """Charge the inputs between two safe points, up to `last_offset`. Writes one update a workspace, or several.

        A workspace has several where it has more than UPDATE_INPUTS inputs. The last one has the version `last_offset`,
        the others the offset of their own last input: two updates of one workspace must differ in version, because
        readers keep the newer one.
        """
        for each in inputs.values():
            for start in range(0, len(each), UPDATE_INPUTS):
                part = each[start : start + UPDATE_INPUTS]
                for record, given in part:
                    self._step(batch, record, given)
                is_last = start + UPDATE_INPUTS >= len(each)
                self._write_updates(batch, last_offset if is_last else part[-1][0].offset)

    def _reach(self, batch: ChargedBatch, record: Fetched, point: _OfAll) -> None:
        """Apply an input that concerns all workspaces; compare counts as of a safe point first."""
        comparisons = list(self._compare(point, record.offset)) if isinstance(point, SafePoint) else []
        if self._step(batch, record, point):
            batch.comparisons += comparisons
        self._write_updates(batch, record.offset)

    def _step(self, batch: ChargedBatch, record: Fetched, given: WalletInput) -> bool:
        """Apply one input. Returns False if it was refused."""
        version = version_of(self._life.generation, record.offset)
        outcome = self._wallets.step(given, version, self._moves.arrived_ms(record))
        if outcome is None and type(given) is ConversationMetered:  # As nearly always.
            return True
        if isinstance(given, Command):
            batch.add_outcome(given, version, outcome)
        if isinstance(outcome, Rejected):
            self._refuse(batch, record, outcome)
        return not isinstance(outcome, Rejected)

    def _move(self, batch: ChargedBatch, record: Fetched, given: WalletInput, workspace_id: str) -> None:
        """Move a misplaced command to its workspace's partition. Refuse one that was moved before.

        A misplaced metered update is refused: the sessionizer never misplaces one, and a late copy could be taken for
        a repeat.
        """
        refused = self._moves.refused(record, workspace_id)
        if isinstance(given, Metered | RebillSlice):
            refused = Rejected(WRONG_PARTITION, "workspace_id: a metered update lies in its workspace's partition")
        if refused is not None:
            self._refuse(batch, record, refused)
        else:
            batch.moved.append(self._moves.moved(record, workspace_id))

    def _is_of_earlier_life(self, given: WalletInput) -> bool:
        """Whether this is a metered update of before a repartition: a repeat, of a worker that was paused meanwhile."""
        return isinstance(given, Metered) and given.origin_offset < version_of(self._life.generation, 0)

    def _observe_policy(self) -> None:
        version = self._wallets.in_force.version
        metrics.POLICY_VERSION.labels(WALLET_INPUTS.name, str(self._partition)).set(version)

    def _refuse(self, batch: ChargedBatch, record: Fetched, rejected: Rejected) -> None:
        self._refused += 1
        batch.letters.append(dead_letter(WALLET_INPUTS, self._partition, record, rejected))

    def _write_updates(self, batch: ChargedBatch, version: int) -> None:
        for update in self._wallets.drain_updates(self._partition, version_of(self._life.generation, version)):
            batch.add_update(update, has_used_up=update.workspace_id in self._wallets.just_used_up)

    def _compare(self, point: SafePoint, version: int) -> Iterator[CountComparison]:
        """Compare counts as of a safe point: the sessionizer's and this partition's. Yields nothing where it cannot."""
        source = self._wallets.source
        if source.is_as_of(point):
            yield CountComparison(
                origin_partition=point.origin_partition,
                origin_offset=point.origin_offset,
                wallet_partition=self._partition,
                version=version_of(self._life.generation, version),
                counts=point.counts,
                messages=source.messages,
                occurrences=source.occurrences,
                refused_inputs=self._refused,
                workspaces=self._wallets.workspaces,
            )

    def changed(self) -> Iterator[bytes]:
        """Return blocks of the wallets, conversations and days of usage that changed or ended since the last call."""
        touched = self._wallets.take_touched()
        yield from pack(self._entries.changed(touched))
        self._wallets.pack_quiet(touched.values())

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """Return a block of the next wallets, conversations and days of usage, and whether the sweep ends with it."""
        return self._sweep.next(size_bytes)

    def _keys(self) -> Iterator[Iterator[bytes]]:
        return keys_in_turn(self._wallets)

    def _value_of(self, key: bytes) -> bytes | None:
        return self._entries.value_of(self._wallets.read, key)

    def mark(self) -> bytes:
        """Return what is known of the partition of chat-events with this number, the refused inputs, and the policy."""
        return encode(Mark(self._wallets.source, self._refused, self._wallets.in_force, self._wallets.held))

    def confirm(self, offset: int) -> Iterable[Output]:
        """Return the next entitlements of the present refresh, as they stand."""
        return self._refresh.next(self._wallets, version_of(self._life.generation, offset))

    def idle(self, now_ms: int) -> list[Record]:  # noqa: ARG002 - the shape of a fold
        """Return nothing: a wallet's event time moves with safe points."""
        return []


_Inputs = defaultdict[str, list[tuple[Fetched, WalletInput]]]
"""By workspace id; of each workspace in offset order."""

"""The fold that charges one partition of wallet-inputs: its inputs in, ledger updates out."""

from collections.abc import Iterable, Iterator

from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.wallet.answering import Now, changed_entitlements, standing_entitlements
from meter.core.wallet.answers import NOWHERE
from meter.core.wallet.auto_reload import order_due_reloads, request_of
from meter.core.wallet.book import Book
from meter.core.wallet.books import Books
from meter.core.wallet.commands.apply import apply_command
from meter.core.wallet.commands.moment import Moment
from meter.core.wallet.commands.outcome import Done, Repeated
from meter.core.wallet.held import Held
from meter.core.wallet.metering import apply_conversation, apply_occurrence
from meter.core.wallet.packed_books import MayBePacked, is_quiet
from meter.core.wallet.provisioning import apply_held_slice, charge_at_once, charge_in_slices
from meter.core.wallet.rebilling import apply_slice, rebill
from meter.core.wallet.safe_points import apply_safe_point
from meter.core.wallet.source import Source
from schemas.commands import AnyCommand
from schemas.entitlements import EntitlementRecord
from schemas.ledger import LedgerUpdate
from schemas.metered import (
    ConversationMetered,
    HeldSlice,
    Metered,
    OccurrenceMetered,
    RebillSlice,
    SafePoint,
    WalletInput,
)
from schemas.payments import PaymentRequest
from schemas.policy import PolicyRecord

_MUCH_LATER_MS = 2**61


class Wallets:
    """The state of one partition of wallet-inputs. Call `restore` first, if at all, then `step` in order of offset.

    Its metered updates and safe points come from partition `partition` of chat-events, which has the same number.
    """

    def __init__(
        self,
        policy: Policy | PolicyInForce,
        partition: int = 0,
        source: Source | None = None,
        held: Held | None = None,
        may_be_packed: MayBePacked = is_quiet,
    ) -> None:
        self.in_force = PolicyInForce(policy=policy) if isinstance(policy, Policy) else policy
        self.source = source or Source()
        self.held = held or Held()
        self._partition = partition
        self._books = Books(self.in_force.policy, partition, self.source, self.held, may_be_packed)
        self.books = self._books.by_id
        """The books that are objects: of all workspaces but the quiet ones that `pack_quiet` has packed."""
        self.restore = self._books.restore
        self.read = self._books.read
        self.just_used_up: set[str] = set()
        """The workspaces whose credit the updates drained last have used up."""
        self._entitlements: dict[tuple[str, str], EntitlementRecord] = {}

    def step(
        self, wallet_input: WalletInput, version: int = 0, arrived_ms: int = _MUCH_LATER_MS
    ) -> Repeated | Rejected | None:
        """Process the input at the offset in `version`. Changes show in the updates.

        Returns its refusal, or `Repeated` for an account command that was applied before, else None. `arrived_ms` is
        the time at which Kafka received the input first.
        """
        self._books.version, self._books.arrived_ms = version, arrived_ms
        outcome = self._step(wallet_input, arrived_ms)
        if self._books.due_scopes:
            order_due_reloads(self._books, wallet_input)
        self._books.note_beginnings()
        if self._books.noted:
            self._answer()
        return outcome

    @property
    def workspaces(self) -> int:
        """The number of workspaces that have begun: some input has changed them."""
        return self._books.begun

    @property
    def clock_ms(self) -> int:
        """The workspaces' event time, in milliseconds since 1970; 0 before the first event."""
        return self._books.clock_ms

    def names(self) -> Iterator[str]:
        """The ids of all workspaces that have a book."""
        yield from self.books
        yield from self._books.packed

    def _step(self, wallet_input: WalletInput, arrived_ms: int) -> Repeated | Rejected | None:
        if isinstance(wallet_input, Metered | SafePoint) and wallet_input.origin_partition != self._partition:
            found = f"{wallet_input.origin_partition}, but this is {self._partition}"
            return Rejected(
                "wrong_partition", f"origin_partition: must be the number of its own partition; it is {found}"
            )
        match wallet_input:
            case ConversationMetered():
                apply_conversation(self._books, wallet_input)
            case OccurrenceMetered():
                apply_occurrence(self._books, wallet_input)
            case RebillSlice():
                apply_slice(self._books, wallet_input)
            case HeldSlice():
                return self._apply_held(wallet_input)
            case SafePoint():
                apply_safe_point(self._books, wallet_input)
            case PolicyRecord():
                return self._apply_policy(wallet_input)
            case _:
                return self._apply_command(wallet_input, arrived_ms)
        return None

    def take_touched(self) -> dict[str, Book]:
        """The books that changed since the last call, by workspace id."""
        touched, self._books.touched = self._books.touched, {}
        return touched

    def pack_quiet(self, written: Iterable[Book]) -> None:
        """Pack the quiet workspaces. Called when a checkpoint has written the books that `take_touched` returned."""
        self._books.pack_quiet(written)

    def take_due_slices(self) -> list[RebillSlice | HeldSlice]:
        """The inputs that this partition has to be given, because the last ones left conversations to charge again."""
        due, self._books.due_slices = self._books.due_slices, []
        return due

    def take_payment_requests(self) -> list[PaymentRequest]:
        """The payments that have to be requested, because of the inputs since the last call."""
        requests, self._books.payment_requests = self._books.payment_requests, []
        return requests

    def drain_updates(self, partition: int, version: int) -> list[LedgerUpdate]:
        """An update of each workspace that changed since the last call, as of offset `version` of wallet-inputs."""
        books, self._books.open_updates = self._books.open_updates, {}
        self.just_used_up.clear()
        updates: list[LedgerUpdate] = []
        for workspace_id, book in books.items():
            update = book.drain_update(partition, version)
            if update is not None:
                updates.append(update)
                was_used_up, book.is_used_up = book.is_used_up, book.wallet.is_used_up
                if book.is_used_up and not was_used_up:
                    self.just_used_up.add(workspace_id)
        return updates

    def take_entitlements(self) -> list[EntitlementRecord]:
        """The newest record of each bot whose answer has changed since the last call."""
        taken, self._entitlements = self._entitlements, {}
        return list(taken.values())

    def standing_entitlements(self, workspace_id: str, version: int, after: str) -> Iterable[EntitlementRecord]:
        """The records of the bots above `after` as they stand after the input at the offset in `version`, the last."""
        book = self.read(workspace_id)
        now = Now(self.in_force.policy, self.clock_ms, version)
        return () if book is None else standing_entitlements(book, now, after)

    def _answer(self) -> None:
        """Answer the bots of the books that the present input has changed."""
        for book in self._books.noted:
            for record in changed_entitlements(book, self._books.now):
                self._entitlements[record.workspace_id, record.bot_id] = record
        self._books.noted.clear()

    def _apply_command(self, command: AnyCommand, arrived_ms: int) -> Repeated | Rejected | None:
        book = self._books.book(command.data.workspace_id)
        self._books.open_answers(book)
        outcome = apply_command(book, command, self._books.policy, Moment(self._books.clock_ms, arrived_ms))
        self._books.watch_new_lots(book)
        self._books.begin_plans(book)
        self._books.watch_new_scopes(book)
        if not isinstance(outcome, Done):
            return outcome
        if outcome.requested is not None:
            self._books.payment_requests.append(request_of(book, outcome.requested))
        if outcome.rebill and book.wallet.status != "unknown":
            rebill(self._books, book)
        return None

    def _apply_policy(self, record: PolicyRecord) -> Rejected | None:
        """Put a newer policy in force, and charge what was held until then if it is not held any more."""
        refused = self.in_force.refusal_of(record)
        if refused is not None:
            return refused
        before, self.in_force = self.in_force, self.in_force.after(record)
        self._books.adopt(self.in_force.policy)
        for book in self.books.values():
            # Prices and debit order may differ: all records are written again, as they stand.
            book.answers, book.bounds = None, NOWHERE
        if before.policy.unknown_workspace == "hold" and self.in_force.policy.unknown_workspace == "provision":
            how = charge_in_slices if self.in_force.charges_held == "in_slices" else charge_at_once
            how(self._books)
        return None

    def _apply_held(self, due: HeldSlice) -> Rejected | None:
        if due.partition != self._partition:
            found = f"{due.partition}, but this is {self._partition}"
            return Rejected("wrong_partition", f"partition: must be the number of its own partition; it is {found}")
        apply_held_slice(self._books, due)
        return None

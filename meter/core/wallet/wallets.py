"""The fold that charges one partition of wallet-inputs: its inputs in, ledger updates out."""

from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.wallet.book import Book
from meter.core.wallet.books import Books
from meter.core.wallet.commands.apply import apply_command
from meter.core.wallet.commands.moment import Moment
from meter.core.wallet.commands.outcome import Done
from meter.core.wallet.metering import apply_conversation, apply_occurrence, provision_from
from meter.core.wallet.rebilling import apply_slice, rebill
from meter.core.wallet.safe_points import apply_safe_point
from meter.core.wallet.source import Source
from schemas.commands import AnyCommand
from schemas.ledger import LedgerUpdate
from schemas.metered import ConversationMetered, Metered, OccurrenceMetered, RebillSlice, SafePoint, WalletInput
from schemas.policy import FIRST_VERSION, PolicyRecord

_MUCH_LATER_MS = 2**61


class Wallets:
    """The state of one partition of wallet-inputs. Call `restore` first, if at all, then `step` in order of offset.

    Its metered updates and safe points come from partition `partition` of chat-events, which has the same number.
    """

    def __init__(
        self, policy: Policy, partition: int = 0, source: Source | None = None, version: int = FIRST_VERSION
    ) -> None:
        self.in_force = PolicyInForce(policy=policy, version=version)
        self.source = source or Source()
        self._partition = partition
        self._books = Books(policy, self.source)
        self.books = self._books.by_id
        self.restore = self._books.restore

    def step(self, wallet_input: WalletInput, version: int = 0, arrived_ms: int = _MUCH_LATER_MS) -> Rejected | None:
        """Process the input at the offset in `version`. Returns its refusal, else None; changes show in the updates.

        `arrived_ms` is the time at which Kafka received it first.
        """
        self._books.arrived_ms = arrived_ms
        refused = self._step(wallet_input, arrived_ms)
        self._books.note_beginnings(version)
        return refused

    @property
    def workspaces(self) -> int:
        """The number of workspaces that have begun: some input has changed them."""
        return sum(book.wallet.since >= 0 for book in self.books.values())

    def _step(self, wallet_input: WalletInput, arrived_ms: int) -> Rejected | None:
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

    def take_due_slices(self) -> list[RebillSlice]:
        """The inputs that this partition has to be given, because the last ones left conversations to charge again."""
        due, self._books.due_slices = self._books.due_slices, []
        return due

    def drain_updates(self, partition: int, version: int) -> list[LedgerUpdate]:
        """An update of each workspace that changed since the last call, as of offset `version` of wallet-inputs."""
        books, self._books.open_updates = self._books.open_updates, {}
        updates = (book.drain_update(partition, version) for book in books.values())
        return [update for update in updates if update is not None]

    def _apply_command(self, command: AnyCommand, arrived_ms: int) -> Rejected | None:
        book = self._books.book(command.data.workspace_id)
        outcome = apply_command(book, command, self._books.policy, Moment(self._books.clock_ms, arrived_ms))
        self._books.watch_new_lots(book)
        if isinstance(outcome, Done) and outcome.rebill and book.wallet.status != "unknown":
            rebill(self._books, book)
        return outcome if isinstance(outcome, Rejected) else None

    def _apply_policy(self, record: PolicyRecord) -> Rejected | None:
        """Put a newer policy in force, and charge what was held until then if it is not held any more."""
        refused = self.in_force.refusal_of(record)
        if refused is not None:
            return refused
        before, self.in_force = self.in_force, self.in_force.after(record)
        self._books.adopt(self.in_force.policy)
        if before.policy.unknown_workspace == "hold" and self.in_force.policy.unknown_workspace == "provision":
            self._charge_held()
        return None

    def _charge_held(self) -> None:
        """Create each unknown workspace from its first remembered event on, and charge its conversations."""
        for workspace_id in sorted(self.books):
            held_from_ms = self.books[workspace_id].held_from_ms(self._books.clock_ms)
            if held_from_ms is not None:
                book = self._books.book(workspace_id)
                provision_from(self._books, book, held_from_ms)
                rebill(self._books, book)

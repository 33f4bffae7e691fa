"""Orders and auto-reload against the oracle's naive second writing, with any cuts and restores of the log."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.policy import Policy
from meter.core.wallet.packed_books import can_be_packed
from schemas.entitlements import EntitlementRecord
from schemas.metered import ConversationMetered, SafePoint, WalletInput, decode_wallet_input
from schemas.payments import PaymentRequest
from tests.oracle.build import MIN, T0, command
from tests.oracle.entitlements import answer
from tests.oracle.orders import Book, Order, Setting, reloads_due
from tests.properties.order_histories import METHODS, SCOPES, USD, Act, histories
from tests.properties.test_entitlement_records import bare, stepped
from tests.unit.charger_state import State
from tests.unit.test_entitlement_rules import as_answer
from tests.unit.wallet_harness import WalletHarness

PRICE = 30 * USD
CREATED = command("workspace.created", plan="enterprise", session_price_micros=PRICE)
FEW = max(40, settings().max_examples // 2)


@dataclass
class Pair:
    """The product and the oracle, told the same acts. `log` is what the product has read."""

    wallet: WalletHarness = field(default_factory=WalletHarness)
    oracle: Book = field(default_factory=Book)
    log: list[WalletInput] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """The product's id of each order of the oracle."""
    _debits: list[tuple[str, str, int]] = field(default_factory=list)
    records: dict[str, EntitlementRecord] = field(default_factory=dict)
    """The newest one of each bot."""
    stated: set[tuple[object, ...]] = field(default_factory=set)
    """All that records have said, each with its version."""

    def __post_init__(self) -> None:
        self._tell(decode_wallet_input(CREATED))
        self._pass(0)

    def _tell(self, given: WalletInput) -> str:
        self.log.append(given)
        self.wallet.tell(given)
        return self.wallet.refused.code if self.wallet.refused else ""

    def _command(self, kind: str, /, **data: Any) -> str:
        at = self.oracle.clock - T0
        return self._tell(decode_wallet_input(command(kind, at, id=f"{len(self.log)}", **data)))

    def _pass(self, by: int) -> str:
        self.oracle.passes(max(T0, self.oracle.clock + by))
        watermark_ms = self.oracle.clock
        return self._tell(SafePoint(origin_partition=0, origin_offset=len(self.log), watermark_ms=watermark_ms))

    def do(self, act: Act) -> None:
        """Do one act in both, and compare what they say and what they hold."""
        kind, *rest = act
        found, expected = getattr(self, f"_{kind}")(*rest)
        assert found == expected, act
        assert [terms(each) for each in self.wallet.requests] == [asked_terms(each) for each in self.oracle.asked]
        self._name_orders()
        self._compare()

    def _name_orders(self) -> None:
        known = set(self.ids)
        placed = self.wallet.wallets.books["w"].wallet.purchases.orders
        self.ids += [each for each in placed if each not in known]

    def _compare(self) -> None:
        wallet = self.wallet.wallets.books["w"].wallet
        placed = [wallet.purchases.orders[each] for each in self.ids]
        found = [(o.kind, o.bot_id, o.amount_micros, o.method, o.placed_ms, o.attempt, o.status) for o in placed]
        assert found == [
            (o.kind, o.scope, o.amount, o.method, o.placed, o.attempt, o.status) for o in self.oracle.orders
        ]
        balances = dict.fromkeys(SCOPES, 0)
        for lot in wallet.lots.by_id.values():
            balances[lot.bot_id] += lot.remaining_micros
        assert balances == {scope: self.oracle.balance(scope) for scope in SCOPES}
        taken = self.wallet.wallets.take_entitlements()
        self.records |= {each.bot_id: each for each in taken}
        self.stated |= set(map(stated, taken))
        for bot_id, record in self.records.items():
            assert stepped(as_answer(record)) == stepped(answer(self.oracle.bot(bot_id, PRICE)))

    def _order(self, number: int) -> tuple[int, str]:
        """One of the orders, or one that there is not."""
        if not self.ids:
            return -1, "none"
        return number % len(self.ids), self.ids[number % len(self.ids)]

    def _debit(self, bot: str) -> tuple[str, str]:
        name, at = f"c-{len(self.log)}", self.oracle.clock - T0
        self._debits.append((name, bot, at))
        self.log.append(conversation(name, bot, at, len(self.log)))
        self.wallet.tell(self.log[-1])
        return "", self.oracle.debit(name, bot, PRICE)

    def _undo(self, number: int) -> tuple[str, str]:
        if not self._debits:
            return "", ""
        name, bot, at = self._debits.pop(number % len(self._debits))
        self.log.append(conversation(name, bot, at, len(self.log), into="another"))
        self.wallet.tell(self.log[-1])
        return "", self.oracle.undo(name)

    def _buy(self, scope: str, amount: int) -> tuple[str, str]:
        name = f"bought-{len(self.log)}"
        found = self._command("credits.purchased", order_id=name, amount_micros=amount, method="card", **of(scope))
        return found, self.oracle.buy(name, scope, amount)

    def _passes(self, by: int) -> tuple[str, str]:
        return self._pass(by), ""

    def _place(self, scope: str, amount: int, method: str) -> tuple[str, str]:
        name = f"order-{len(self.log)}"
        found = self._command("order.placed", order_id=name, amount_micros=amount, method=method, **of(scope))
        return found, self.oracle.place(scope, amount, method)

    def _settle(self, number: int, payment: str, more: int) -> tuple[str, str]:
        at, name = self._order(number)
        amount = self.oracle.orders[at].amount + more if at >= 0 else 1
        found = self._command("payment.settled", order_id=name, payment_id=payment, amount_micros=amount)
        return found, self.oracle.settle(at, payment, amount, name) if at >= 0 else "unknown_order"

    def _fail(self, number: int) -> tuple[str, str]:
        at, name = self._order(number)
        found = self._command("payment.failed", order_id=name, payment_id="p", reason="declined")
        return found, self.oracle.fail(at) if at >= 0 else "unknown_order"

    def _act(self, number: int) -> tuple[str, str]:
        at, name = self._order(number)
        found = self._command("payment.action_required", order_id=name, payment_id="p")
        return found, self.oracle.act(at) if at >= 0 else "unknown_order"

    def _cancel(self, number: int) -> tuple[str, str]:
        at, name = self._order(number)
        found = self._command("order.cancelled", order_id=name)
        return found, self.oracle.cancel(at) if at >= 0 else "unknown_order"

    def _refund(self, number: int, amount: int) -> tuple[str, str]:
        at, name = self._order(number)
        refund = f"r-{len(self.log)}"
        found = self._command("order.refunded", order_id=name, refund_id=refund, amount_micros=amount)
        return found, self.oracle.refund(at, amount) if at >= 0 else "unknown_order"

    def _save(self, method: str) -> tuple[str, str]:
        found = self._command("method.saved", method_id=method, kind=METHODS[method])
        return found, self.oracle.save(method, METHODS[method])

    def _remove(self, method: str) -> tuple[str, str]:
        return self._command("method.removed", method_id=method), self.oracle.remove(method)

    def _set(self, scope: str, given: Setting) -> tuple[str, str]:
        found = self._command(
            "auto_reload.set",
            enabled=given.enabled,
            reload_micros=given.amount,
            threshold_micros=given.threshold,
            method_id=given.method,
            max_per_day_micros=given.per_day,
            max_per_month_micros=given.per_month,
            **of(scope),
        )
        return found, self.oracle.set(scope, given)


class Packing(State):
    """A charger that packs each book at each checkpoint, also one of which something is live."""

    may_be_packed = staticmethod(can_be_packed)


def of(scope: str) -> dict[str, Any]:
    return {"bot_id": scope} if scope else {}


def conversation(name: str, bot: str, at: int, offset: int, into: str | None = None) -> WalletInput:
    """One session of a bot, or its end because a late message has joined it to another."""
    return ConversationMetered(
        workspace_id="w",
        bot_id=bot,
        channel="web",
        channel_user_id="u",
        origin_partition=0,
        origin_offset=offset,
        produced_ms=0,
        conversation_id=name,
        opened_ms=T0 + at,
        state="absorbed" if into else "open",
        first_ms=T0 + at,
        last_ms=T0 + at,
        messages=0 if into else 1,
        requests=0 if into else 1,
        sessions=0 if into else 1,
        absorbed_into=into,
    )


def stated(record: EntitlementRecord) -> tuple[object, ...]:
    return record.bot_id, record.available_micros, *bare(record)


def terms(request: PaymentRequest) -> tuple[Any, ...]:
    at_ms = int(request.requested_at.timestamp() * 1000 + 0.5)
    return request.bot_id or "", request.amount_micros, request.method, request.attempt, at_ms


def asked_terms(order: Order) -> tuple[Any, ...]:
    return order.scope, order.amount, order.method, order.attempt, order.placed


@given(histories)
def test_orders_and_reloads_are_the_oracles(history: list[Act]) -> None:
    """After every act: what it was refused for, every order, every balance, and every payment that was asked for."""
    pair = Pair()
    for act in history:
        pair.do(act)


@settings(max_examples=FEW)
@given(histories, st.integers(1, 9), st.integers(1, 4))
def test_cuts_and_restores_change_no_order(history: list[Act], size: int, every: int) -> None:
    """The log in other batches, with a restart from the last checkpoint after some of them, asks for the same."""
    pair = Pair()
    for act in history:
        pair.do(act)
    state: State = Packing(Policy())
    requests: list[PaymentRequest] = []
    written: list[EntitlementRecord] = []
    for number, at in enumerate(range(0, len(pair.log), size)):
        state.tell(*pair.log[at : at + size])
        requests += state.requests
        state.requests.clear()
        written += state.entitlements
        state.entitlements.clear()
        if number % every == 0:
            assert state.restored() == state.known()
            state = state.restarted() if number % 2 else state
    assert requests == pair.wallet.requests
    assert set(map(stated, written)) <= pair.stated
    newest = {each.bot_id: stated(each) for each in written}
    assert newest == {bot_id: stated(record) for bot_id, record in pair.records.items()}
    orders = state.known()["w"]["wallet"]["purchases"]["orders"]
    assert [(orders[each]["status"], orders[each]["amount_micros"]) for each in pair.ids] == [
        (order.status, order.amount) for order in pair.oracle.orders
    ]


@given(
    st.lists(st.sampled_from(("debit", "settle", "settle", "repeat", "point")), max_size=60),
    st.sampled_from((100 * USD, 130 * USD)),
    st.sampled_from((0, 50 * USD, 330 * USD)),
)
def test_the_reloads_come_to_the_sum_of_the_rule(order: list[str], amount: int, threshold: int) -> None:
    """Reload x ceil((threshold - balance without reloads) / reload), however debits and answers interleave."""
    pair = Pair()
    for act in (("save", "m"), ("buy", "", 100 * USD), ("set", "", Setting(True, amount, threshold, "m"))):
        pair.do(act)
    settled = 0

    def settle_next() -> bool:
        nonlocal settled
        if settled == len(pair.ids):
            return False
        pair.do(("settle", settled, "p", 0))
        settled += 1
        return True

    for each in order:
        match each:
            case "debit":
                pair.do(("debit", "c"))
            case "settle":
                settle_next()
            case "repeat" if settled:
                pair.do(("settle", settled - 1, "p", 0))
            case _:
                pair.do(("passes", MIN))
    while settle_next():
        pass
    without = 100 * USD - order.count("debit") * PRICE
    assert len(pair.ids) == reloads_due(threshold, without, amount) == max(0, -((without - threshold) // amount))

"""Plans, lots and charges, in one pass over the units sorted by time (DOMAIN, Prices and Debit order)."""

from dataclasses import dataclass, field

from tests.oracle.reading import DAY_MS, DESCRIPTIVE, MINUTE_MS, OPTIONAL, REQUIRED, Command, RefusedError, to_ms

BLOCK_MS = 15 * MINUTE_MS
STANDARD_PRICE = 200_000
FREE_GRANT = 500_000_000
GRANT_LIFE_MS = 90 * DAY_MS

OWN_ID = {
    "billing.workspace.created": "workspace_id",
    "billing.grant.assigned": "grant_id",
    "billing.credits.purchased": "order_id",
}
"""What happens once for each value of this field, however many commands say so."""


@dataclass
class Lot:
    """Credit that pays: a free grant for [assigned_at, expires_at), or a purchase for ever."""

    id: str
    kind: str
    bot: str | None
    left: int
    assigned_at: int
    expires_at: int | None = None

    def covers(self, bot: str, at: int) -> bool:
        """DOMAIN, Debit order 5: spendable from assigned_at until, and not at, expiry. Purchases are timeless."""
        if self.expires_at is not None:
            return self.assigned_at <= at < self.expires_at
        return self.bot is None or self.bot == bot


@dataclass(frozen=True)
class Plan:
    """What a conversation costs from `since` on."""

    since: int
    name: str
    price: int | None
    cause: tuple[str, str] = ("", "")
    """Source and id of its command: of two at one time the last one stands. A price of None is the workspace's."""


@dataclass(frozen=True)
class Charge:
    """One part of one unit's price, paid by one lot. Lot kind `overdraft`: no lot did (DOMAIN, Debit order 4)."""

    workspace: str
    bot: str
    at: int
    lot: str
    lot_kind: str
    amount: int
    conversation: tuple[str, str, str, str, int]
    """(workspace, bot, channel, channel user, first message) of what the unit belongs to."""


@dataclass
class Balance:
    """A workspace's wallet at the end of the feed."""

    free: int = 0
    paid: int = 0
    lapsed: int = 0
    charged_free: int = 0
    charged_paid: int = 0


@dataclass
class Account:
    """All that the commands say about one workspace."""

    created: bool = False
    lots: list[Lot] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    bot_plans: dict[str, list[Plan]] = field(default_factory=dict)
    prices: list[tuple[int, tuple[str, str], int]] = field(default_factory=list)
    seen: dict[tuple[str, ...], tuple[object, ...]] = field(default_factory=dict)
    overdrawn: int = 0

    def apply(self, command: Command) -> bool:
        """False for a repeated command: same id, or the same grant or order once more, with the same terms.

        Raises RefusedError where it contradicts an earlier one (DOMAIN, Metering 6 and 7).
        """
        said: dict[tuple[str, ...], tuple[object, ...]] = {("id", command.source, command.id): _content(command)}
        own_id = OWN_ID.get(command.type)
        if own_id is not None:
            said[own_id, command.data[own_id]] = _terms(command)
        for mark, content in said.items():
            if mark in self.seen:
                if self.seen[mark] != content or (mark[0] == "workspace_id"):
                    raise RefusedError("conflict", mark[0])
                self.seen.update(said)
                return False
        {
            "billing.workspace.created": self._create,
            "billing.bot.created": self._create_bot,
            "billing.grant.assigned": self._grant,
            "billing.credits.purchased": self._purchase,
            "billing.plan.changed": self._change_plan,
        }[command.type](command)
        self.seen.update(said)
        return True

    def _create(self, command: Command) -> None:
        if command.data["plan"] == "enterprise" and command.data.get("session_price_micros") is None:
            raise RefusedError("invalid", "session_price_micros")
        self._set_plan(self.plans, command)
        self.created = True
        grant = command.data.get("free_grant_micros")
        if grant is None:
            grant = FREE_GRANT if command.data["plan"] == "standard" else 0
        self.add_grant("", grant, command.time, command.time + GRANT_LIFE_MS)

    def _create_bot(self, command: Command) -> None:
        if command.data.get("plan") is not None:
            self._set_plan(self.bot_plans.setdefault(command.data["bot_id"], []), command)

    def _change_plan(self, command: Command) -> None:
        bot = command.data.get("bot_id")
        self._set_plan(self.plans if bot is None else self.bot_plans.setdefault(bot, []), command)

    def _set_plan(self, plans: list[Plan], command: Command) -> None:
        """An Enterprise price that the command does not name is the workspace's at that time, else there is none."""
        own = command.data.get("session_price_micros")
        cause = command.source, command.id
        price: int | None = STANDARD_PRICE
        if command.data["plan"] == "enterprise":
            if own is None and (command.type != "billing.bot.created" or not self.prices):
                raise RefusedError("invalid", "session_price_micros")
            price = own
        if own is not None and plans is self.plans:
            self.prices.append((command.time, cause, own))
        plans.append(Plan(command.time, command.data["plan"], price, cause))
        plans.sort(key=lambda plan: (plan.since, plan.cause))

    def _price(self, at: int) -> int:
        """The Enterprise price of the workspace at that time, before the first one the first one."""
        known = sorted(self.prices)
        return [price for since, _, price in known if since <= at or since == known[0][0]][-1]

    def _grant(self, command: Command) -> None:
        expires = command.data.get("expires_at")
        expires_at = command.time + GRANT_LIFE_MS if expires is None else to_ms(expires)
        if expires_at <= command.time:
            raise RefusedError("invalid", "expires_at")
        self.add_grant(command.data["grant_id"], command.data["amount_micros"], command.time, expires_at)

    def _purchase(self, command: Command) -> None:
        bot = command.data.get("bot_id")
        kind = "shared" if bot is None else "designated"
        self.lots.append(Lot(command.data["order_id"], kind, bot, command.data["amount_micros"], command.time))

    def add_grant(self, grant_id: str, amount: int, assigned_at: int, expires_at: int) -> None:
        self.lots.append(Lot(grant_id, "free", None, amount, assigned_at, expires_at))

    def provision(self, first_unit_at: int) -> None:
        """What no command created is Standard, with the default grant from its first unit on."""
        self.plans.insert(0, Plan(0, "standard", STANDARD_PRICE))
        self.add_grant("", FREE_GRANT, first_unit_at, first_unit_at + GRANT_LIFE_MS)

    def plan_at(self, bot: str, at: int) -> tuple[str, int]:
        """The plan and its price: a bot's own goes first from its time on; before the first plan that one holds."""
        own = [plan for plan in self.bot_plans.get(bot, []) if plan.since <= at]
        if own:
            price = own[-1].price
            return own[-1].name, self._price(own[-1].since) if price is None else price
        first = self.plans[0].since if self.plans else 0
        known = [plan for plan in self.plans if plan.since <= max(at, first)]
        return (known[-1].name, known[-1].price or 0) if known else ("standard", STANDARD_PRICE)

    def debit(self, bot: str, at: int, price: int) -> list[tuple[str, str, int]]:
        """DOMAIN, Debit order 1, 2 and 4: (lot, its kind, how much), the remainder overdrawn."""
        parts: list[tuple[str, str, int]] = []
        for lot in sorted((lot for lot in self.lots if lot.covers(bot, at)), key=debit_order):
            part = min(lot.left, price)
            if part > 0:
                lot.left -= part
                price -= part
                parts.append((lot.id, lot.kind, part))
        if price > 0:
            self.overdrawn += price
            parts.append(("", "overdraft", price))
        return parts

    def balance(self, end: int) -> Balance:
        """What is left at `end`: a grant that has expired by then has lapsed, one that has not begun counts nothing."""
        grants = [(x.left, x.expires_at) for x in self.lots if x.expires_at is not None and x.assigned_at <= end]
        paid = sum(lot.left for lot in self.lots if lot.expires_at is None) - self.overdrawn
        free = sum(left for left, expires_at in grants if end < expires_at)
        return Balance(free=free, paid=paid, lapsed=sum(left for left, _ in grants) - free)


def debit_order(lot: Lot) -> tuple[int, int, int, str]:
    """DOMAIN, Debit order 1: free by expiry, age, id; then designated, then shared, each by age and id."""
    rank = ("free", "designated", "shared").index(lot.kind)
    return (rank, lot.expires_at or 0, lot.assigned_at, lot.id)


def _content(command: Command) -> tuple[object, ...]:
    """All that a command says in the fields that it may have; what it leaves out says the default."""
    optional, descriptive = OPTIONAL.get(command.type, {}), DESCRIPTIVE.get(command.type, ())
    data = [command.data[name] for name in REQUIRED[command.type]]
    data += [command.data.get(name) for name in optional if name != "expires_at"]
    data += [command.data.get(name, "") for name in descriptive]
    return (command.type, command.time, _expiry(command), *data)


def _terms(command: Command) -> tuple[object, ...]:
    """What a second grant or order under one id must agree on to be the same."""
    return (command.time, _expiry(command), command.data.get("amount_micros"), command.data.get("bot_id"))


def _expiry(command: Command) -> int | None:
    if command.type != "billing.grant.assigned":
        return None
    expires = command.data.get("expires_at")
    return command.time + GRANT_LIFE_MS if expires is None else to_ms(expires)

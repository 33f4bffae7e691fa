"""Do records of what bots may do say what the ledger's entries and the oracle's plans imply?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.entitlements import EntitlementRecord, decode_entitlement
from tests.integration.differences import unequal
from tests.oracle.entitlements import Answer, Bot, answer
from tests.oracle.oracle import Result

Key = tuple[str, str]
"""Workspace and bot, or workspace and pocket."""
WHY = {"free_credit": "free", "paid_credit": "paid", "no_credit": "nothing"}


def entitled(
    records: Iterable[bytes | None],
    ledger: Iterable[Mapping[str, Any]],
    expected: Result,
    orders: Sequence[str] = ("free_first",),
) -> list[str]:
    """A sentence for each bot whose newest record differs, is missing, or should not be there.

    `records` are those of the topic, in any order; of a bot the one with the highest version counts. `orders` are the
    debit orders that were in force: after another policy a record has its status by the earlier one until the refresh.
    """
    found = {key: _said(record) for key, record in newest(records).items()}
    pockets = _pockets(ledger)
    implied: dict[Key, Answer] = {}
    for (workspace, bot), (plan, price) in expected.plans.items():
        by_order = [_stepped(answer(_bot(pockets, workspace, bot, plan, price, order))) for order in orders]
        said = found.get((workspace, bot))
        implied[workspace, bot] = said if said in by_order and said is not None else by_order[0]
    return unequal("entitlement", found.items(), implied.items())


def newest(records: Iterable[bytes | None]) -> dict[Key, EntitlementRecord]:
    """Of each bot the record with the highest version."""
    found: dict[Key, EntitlementRecord] = {}
    for value in records:
        record = decode_entitlement(value or b"")
        key = record.workspace_id, record.bot_id
        if key not in found or record.version >= found[key].version:
            found[key] = record
    return found


def _bot(pockets: Mapping[Key, int], workspace: str, bot: str, plan: str, price: int, order: str) -> Bot:
    return Bot(
        order=order,
        plan=plan,
        free=pockets[workspace, "free"],
        designated=pockets[workspace, f"bot {bot}"],
        shared=pockets[workspace, "shared"],
        price=price,
    )


def _pockets(ledger: Iterable[Mapping[str, Any]]) -> dict[Key, int]:
    """Free and shared credit, and what is designated to each bot, in micro-dollars: the sums of the entries."""
    pockets: defaultdict[Key, int] = defaultdict(int)
    owners: dict[Key, str] = {}
    for row in sorted(ledger, key=lambda row: int(row["seq"])):
        workspace, pocket = row["workspace_id"], row["lot_kind"]
        if pocket == "designated":
            pocket = owners.setdefault((workspace, row["lot_id"]), f"bot {row['bot_id']}")
        pockets[workspace, pocket] += int(row["amount_micros"])
    return pockets


def _said(record: EntitlementRecord) -> Answer:
    return _stepped(Answer(record.status, WHY[record.reason], record.allowed_units, record.attribution))


def _stepped(said: Answer) -> Answer:
    """With the number of units as exact as records are: below eight exact, above to the highest three bits."""
    units = said.units
    if units is not None and units >= 8:
        units = int(f"{units:b}"[:3].ljust(len(f"{units:b}"), "0"), 2)
    return Answer(said.status, said.why, units, said.attribution)

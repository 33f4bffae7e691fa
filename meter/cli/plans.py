"""`python -m meter plans`: show the catalogue of plans."""

from typing import Any, Final

import click
import msgspec
import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from schemas.instants import DAY_MS
from schemas.money import dollars
from schemas.plans import CUSTOM, DEFAULT_PLAN, PLANS, ROWS, Plan, Row

PIPE_WIDTH: Final = 160
"""The table's width where there is no terminal."""

_NOTE: Final = (
    "These are published values, and they charge nothing. What Standard charges now: `python -m meter policy`. What\n"
    "Enterprise charges: its contract. Of what the meter enforces, R1, R2, the free credit and the\n"
    "bounds of purchases are in force; its other rows are not yet."
)


@click.command("plans")
@click.option("--plan", "name", type=click.Choice(list(PLANS)), help="One plan only. Default: those on offer.")
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
def plans_command(name: str | None, output_format: str) -> None:
    """Show the plans: unit, price, purchases, free credit, and every feature and limit with who enforces it.

    \b
    The same for every deployment: the catalogue is part of the program.
      python -m meter plans
      python -m meter plans --plan trial
      python -m meter plans --format json
    JSON is a list of all plans, or one plan with --plan. Amounts in it are in micro-dollars.
    """
    chosen = [plan for plan in PLANS.values() if name in (None, plan.name)]
    if output_format == "json":
        described = [as_json(plan) for plan in chosen]
        click.echo(orjson.dumps(described if name is None else described[0], option=orjson.OPT_INDENT_2))
        return
    shown = chosen if name is not None else [plan for plan in chosen if plan.is_offered]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(_table(shown))
    examples = ", ".join(plan.name for plan in PLANS.values() if not plan.is_offered)
    console.print(f"{_NOTE}\nExamples, which no workspace can have yet: {examples} (--plan NAME).", markup=False)


def as_json(plan: Plan) -> dict[str, Any]:
    """A plan for programs. Each row has its value, the kind of the value and who enforces it."""
    rows = [
        {
            "row": row.number,
            "name": row.name,
            "title": row.title,
            "kind": row.kind,
            "enforced_by": row.enforced_by,
            "per": row.per,
            "value": plan.values[row.name],
        }
        for row in ROWS
    ]
    return {
        "name": plan.name,
        "title": plan.title,
        "is_default": plan.name == DEFAULT_PLAN,
        "is_offered": plan.is_offered,
        "unit": plan.unit,
        "unit_title": plan.unit_title,
        "unit_micros": plan.unit_micros,
        "minimum_top_up_micros": plan.minimum_top_up_micros,
        "maximum_top_up_micros": plan.maximum_top_up_micros,
        "free_grant_micros": plan.free_grant_micros,
        "grant_life_ms": plan.grant_life_ms,
        "notifications": msgspec.to_builtins(plan.notifications),
        "rows": rows,
    }


def value_text(row: Row, plan: Plan) -> str:
    """The value of a row for people."""
    value = plan.values[row.name]
    if value == CUSTOM:
        return "by contract"
    if isinstance(value, str):
        return value
    match row.kind:
        case "flag":
            return "yes" if value else "no"
        case "price":
            return dollars(value)
        case "rate":
            return f"{value:,} {'an' if row.per == 'hour' else 'a'} {row.per}"
        case "history":
            return f"{value:,} {row.per}"
        case _:
            return f"{value:,}"


def _table(plans: list[Plan]) -> Table:
    """A column for each plan: its head figures, then the rows."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("row", no_wrap=True)
    table.add_column("", overflow="fold")
    for plan in plans:
        table.add_column(plan.title, overflow="fold")
    table.add_column("enforced by", no_wrap=True)
    for title, texts in _head(plans):
        table.add_row("", title, *texts, "meter")
    table.add_section()
    for row in ROWS:
        table.add_row(row.number, row.title, *(value_text(row, plan) for plan in plans), row.enforced_by)
    return table


def _head(plans: list[Plan]) -> list[tuple[str, list[str]]]:
    """The figures of plans that are not among the rows."""
    return [
        ("Unit", [plan.unit for plan in plans]),
        ("Purchases", [f"{dollars(p.minimum_top_up_micros)} to {dollars(p.maximum_top_up_micros)}" for p in plans]),
        ("Free credit of a new workspace", [_grant(plan) for plan in plans]),
        ("A proactive notification", [_notification(plan.notifications.proactive_micros) for plan in plans]),
        ("An alert notification", [_notification(plan.notifications.alert_micros) for plan in plans]),
    ]


def _grant(plan: Plan) -> str:
    if plan.free_grant_micros == 0:
        return "none"
    return f"{dollars(plan.free_grant_micros)} for {plan.grant_life_ms // DAY_MS} days"


def _notification(price_micros: int) -> str:
    return "counted, not charged" if price_micros == 0 else dollars(price_micros)

"""The catalogue of plans, row by row against the published table. Each row of a table names the points it shows."""

from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from meter.cli.main import main
from meter.core.policy import Policy
from schemas.commands import PlanName
from schemas.plan_rows import ROWS
from schemas.plans import DEFAULT_PLAN, PLANS
from schemas.support_plans import SUPPORT_PLANS

YES, NO, CUSTOM, UNLIMITED = True, False, "custom", "unlimited"
PREMIUM = "conversation designer, knowledge graph, multi-engine NLP, all channels"
EXCLUSIVE = "topic modeler, universal bots, higher limits, own premises"
BASIC = "included: community, academy, documentation"
E_MAIL = "can be bought, from $1,000.00 a month: e-mail on weekdays 8-17, first answer within 24 h"
PROGRAMME = "guided success programme, 24x7 by e-mail, phone and video"

PUBLISHED = [
    # row, its subject, kind, who enforces it, Standard, Enterprise
    ("R1 A4 A7", "plan_type", "text", "meter", "by the conversation", "by the session"),
    ("R2 B2 B4 B6 X1", "unit_price", "price", "meter", 200_000, CUSTOM),
    ("R3 X10", "usage_limits", "text", "meter", "as far as the credit goes; purchases from $100.00", CUSTOM),
    ("R4 L1", "exclusive_features", "text", "others", PREMIUM, f"{PREMIUM}, {EXCLUSIVE}"),
    ("R5", "conversation_designer", "flag", "runtime", YES, YES),
    ("R6", "dialog_builder", "flag", "runtime", YES, YES),
    ("R7 O13", "dialog_tasks", "limit", "runtime", 200, CUSTOM),
    ("R8 L1", "topic_modeler", "flag", "runtime", NO, YES),
    ("R9 X27 O13", "proactive_notifications", "rate", "meter", 500, CUSTOM),
    ("R10", "small_talk", "flag", "runtime", YES, YES),
    ("R11", "visual_experience", "flag", "runtime", YES, YES),
    ("R12", "knowledge_extraction", "flag", "runtime", YES, YES),
    ("R13", "knowledge_graph", "flag", "runtime", YES, YES),
    ("R14", "faqs", "limit", "runtime", 1_000, CUSTOM),
    ("R15", "channels", "text", "runtime", "all available channels", "all available channels"),
    ("R16", "multilingual_assistants", "flag", "runtime", YES, YES),
    ("R17 L1", "universal_assistants", "flag", "runtime", NO, YES),
    ("R18", "multi_engine_nlp", "flag", "runtime", YES, YES),
    ("R19", "ml_training_models", "text", "runtime", "standard", "advanced"),
    ("R20", "training_utterances", "limit", "runtime", 10_000, CUSTOM),
    ("R21", "conversational_intelligence", "flag", "runtime", YES, YES),
    ("R22", "multi_intent_management", "flag", "runtime", YES, YES),
    ("R23", "entity_amendments", "flag", "runtime", YES, YES),
    ("R24", "sentiment_analysis", "flag", "runtime", YES, YES),
    ("R25", "batch_test_cases", "limit", "runtime", 10_000, CUSTOM),
    ("R26", "conversation_test_cases", "limit", "runtime", 1_000, CUSTOM),
    ("R27", "batch_tests", "rate", "runtime", 10, CUSTOM),
    ("R28", "conversation_tests", "rate", "runtime", 10, CUSTOM),
    ("R29", "ivr_sandbox", "flag", "runtime", YES, YES),
    ("R30", "service_orchestration", "flag", "runtime", YES, YES),
    ("R31", "agent_transfer", "flag", "runtime", YES, YES),
    ("R32", "platform_sdk", "flag", "runtime", YES, YES),
    ("R33", "web_and_mobile_clients", "flag", "runtime", YES, YES),
    ("R34", "variables", "flag", "runtime", YES, YES),
    ("R35", "versions", "limit", "runtime", 20, CUSTOM),
    ("R36", "version_comparison", "flag", "runtime", YES, YES),
    ("R37", "prebuilt_analytics", "flag", "runtime", YES, YES),
    ("R38", "custom_widgets", "limit", "runtime", 10, UNLIMITED),
    ("R39 X31", "analytics_history", "history", "page", 3, CUSTOM),
    ("R40 L1", "deployment_model", "text", "others", "cloud", "cloud, hybrid, own premises"),
    ("R41", "sso", "flag", "page", YES, YES),
    ("R42", "data_retention", "retention", "meter", "standard", "advanced"),
    ("R43", "collaborators", "limit", "runtime", UNLIMITED, UNLIMITED),
    ("R44", "public_apis", "flag", "page", YES, YES),
    ("R45", "ad_sync", "flag", "runtime", NO, YES),
    ("R46", "cloud_connector", "flag", "runtime", NO, YES),
    ("R47 Q1 Q2", "basic_support", "text", "others", BASIC, BASIC),
    ("R48 Q3 Q4 Q6", "standard_support", "text", "others", E_MAIL, PROGRAMME),
    ("R49 Q5 Q7", "enterprise_support", "text", "others", "not available", "can be bought"),
]


@pytest.mark.parametrize(
    ("points", "name", "kind", "by", "standard", "enterprise"), PUBLISHED, ids=[row[0] for row in PUBLISHED]
)
def test_a_row_has_its_published_values(
    points: str, name: str, kind: str, by: str, standard: Any, enterprise: Any
) -> None:
    """Kind, who enforces it, and the value in each of the two plans; the numbers written here by hand."""
    (row,) = [row for row in ROWS if row.number == points.split()[0]]
    assert (row.name, row.kind, row.enforced_by) == (name, kind, by)
    assert (PLANS["standard"].values[name], PLANS["enterprise"].values[name]) == (standard, enterprise)
    assert type(PLANS["standard"].values[name]) is type(standard)


def test_the_rows_are_those_of_the_published_table() -> None:
    """R1 to R49: none is missing, and they are in order."""
    assert [row.number for row in ROWS] == [row[0].split()[0] for row in PUBLISHED] == [f"R{n}" for n in range(1, 50)]


@pytest.mark.parametrize(("name", "per"), [("proactive_notifications", "hour"), ("batch_tests", "day")])
def test_a_rate_says_for_how_long(name: str, per: str) -> None:
    """R9: an hour. R27, R28: a day."""
    assert next(row.per for row in ROWS if row.name == name) == per


def test_every_value_fits_the_kind_of_its_row() -> None:
    """In every plan, the examples included: a runtime can rely on the type."""
    for plan in PLANS.values():
        for row in ROWS:
            value = plan.values[row.name]
            if row.kind == "flag":
                assert isinstance(value, bool), (plan.name, row.name)
            elif row.kind in ("text", "retention"):
                assert isinstance(value, str), (plan.name, row.name)
            else:
                assert type(value) is int or value in (CUSTOM, UNLIMITED), (plan.name, row.name)


def test_published_prices_are_the_defaults_of_what_charges() -> None:
    """B4, C1, C4: the policy charges, the catalogue publishes, and a new deployment has both alike."""
    standard, policy = PLANS["standard"], Policy()
    assert (standard.unit_micros, policy.conversation_micros) == (200_000, 200_000)
    assert (standard.free_grant_micros, policy.free_grant_micros) == (500_000_000, 500_000_000)
    assert standard.grant_life_ms == policy.grant_life_ms == 90 * 86_400_000
    assert standard.free_grant_micros // (standard.unit_micros or 1) == 2_500  # B10


def test_a_contract_price_has_no_default() -> None:
    """B6, X22: Enterprise has the price that its command names, and no free credit."""
    enterprise = PLANS["enterprise"]
    assert (enterprise.unit_micros, enterprise.free_grant_micros, enterprise.unit) == (None, 0, "session")


def test_plans_on_offer_are_those_that_a_command_can_name() -> None:
    """B1, B3, X17: Standard is the default; trial, Essential and Advanced are examples only (O11, O12)."""
    offered = {name for name, plan in PLANS.items() if plan.is_offered}
    assert offered == set(PlanName.__args__)  # type: ignore[attr-defined]
    assert set(PLANS) - offered == {"trial", "essential", "advanced"}
    assert DEFAULT_PLAN == "standard"


def test_purchases_have_a_least_and_a_most() -> None:
    """D2, F10, F11, G9: $100 and $20,000."""
    bounds = {(plan.minimum_top_up_micros, plan.maximum_top_up_micros) for plan in PLANS.values()}
    assert bounds == {(100_000_000, 20_000_000_000)}


def test_units_have_the_names_that_people_use() -> None:
    """A16."""
    titles = (PLANS["standard"].unit_title, PLANS["enterprise"].unit_title)
    assert titles == ("Billing Conversations", "Billing Sessions")


def test_notifications_cost_nothing_unless_a_rate_card_says_so() -> None:
    """X6, X7."""
    cards = [plan.notifications for plan in PLANS.values()]
    assert {(card.proactive_micros, card.alert_micros) for card in cards} == {(0, 0)}


def test_a_contract_fills_only_what_the_plan_leaves_to_it() -> None:
    """O13, B7: Enterprise's numbers come from the contract; Standard's are the same for all."""
    contracted = {"dialog_tasks": 900, "custom_widgets": 3, "unknown": 1}
    enterprise = PLANS["enterprise"].limits(contracted)
    assert (enterprise["dialog_tasks"], enterprise["faqs"]) == (900, CUSTOM)
    assert enterprise["custom_widgets"] == UNLIMITED
    assert "unknown" not in enterprise
    assert PLANS["standard"].limits(contracted)["dialog_tasks"] == 200


def test_features_and_limits_are_all_rows_that_a_runtime_can_enforce() -> None:
    """The entitlement hands them out: numbers and flags, no words."""
    standard = PLANS["standard"]
    assert len(standard.features()) == 26
    assert standard.features()["topic_modeler"] is False
    assert PLANS["enterprise"].features()["topic_modeler"] is True
    assert len(standard.limits()) == 12
    assert standard.limits()["proactive_notifications"] == standard.proactive_per_hour == 500
    assert standard.limits()["analytics_history"] == standard.history_months == 3
    assert PLANS["enterprise"].proactive_per_hour is None
    assert PLANS["enterprise"].history_months is None


def test_the_table_shows_what_is_on_offer_and_says_what_charges() -> None:
    """`meter plans`: every row, both plans, and no price that it would charge itself."""
    done = CliRunner().invoke(main, ["plans"], catch_exceptions=False)
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.startswith(" R")}
    assert list(rows) == [f"R{n}" for n in range(1, 50)]
    assert rows["R9"][-6:] == ["500", "an", "hour", "by", "contract", "meter"]
    assert rows["R2"][-4:] == ["$0.20", "by", "contract", "meter"]
    assert rows["R8"][-3:] == ["no", "yes", "runtime"]
    assert "python -m meter policy" in done.stdout
    assert "Trial" not in done.stdout


def test_the_table_shows_one_plan_with_its_own_values() -> None:
    """X17, O11: an example plan may differ from Standard in any row."""
    done = CliRunner().invoke(main, ["plans", "--plan", "trial"], catch_exceptions=False)
    assert [line.split()[-2:] for line in done.stdout.splitlines() if line.startswith(" R7 ")] == [["20", "runtime"]]
    assert "$25.00 for 14 days" in done.stdout


def test_json_has_all_plans_or_one() -> None:
    """For programs: amounts in micro-dollars, every row with its value."""
    every = orjson.loads(CliRunner().invoke(main, ["plans", "--format", "json"]).stdout)
    assert [plan["name"] for plan in every] == ["standard", "enterprise", "trial", "essential", "advanced"]
    one = orjson.loads(CliRunner().invoke(main, ["plans", "--plan", "enterprise", "--format", "json"]).stdout)
    assert one == every[1]
    assert (one["unit"], one["unit_micros"], one["is_default"], len(one["rows"])) == ("session", None, False, 49)
    assert one["rows"][8]["value"] == "custom"


def test_a_plan_that_is_not_in_the_catalogue_is_refused() -> None:
    """The sentence names those that are."""
    done = CliRunner().invoke(main, ["plans", "--plan", "gold"])
    assert done.exit_code == 2
    assert all(name in done.stderr for name in PLANS)


def test_the_published_price_of_support_is_the_one_that_is_checked() -> None:
    """Q4, R48: one figure, in the row and in the support plan."""
    assert SUPPORT_PLANS["standard"].minimum_month_micros == 1_000_000_000

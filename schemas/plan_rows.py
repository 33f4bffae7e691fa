"""The rows of the plan table: what each plan includes, row by row (docs/adr/0033).

The values of `standard` and `enterprise` are the published ones. An example plan has Standard's value, unless the row
names another one for it.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from schemas.money import DOLLAR_MICROS, STANDARD_CONVERSATION_MICROS, dollars
from schemas.support_plans import ENTERPRISE_SUPPORT, STANDARD_SUPPORT

CatalogueName = Literal["standard", "enterprise", "trial", "essential", "advanced"]

RowKind = Literal["price", "limit", "rate", "flag", "text", "history", "retention"]
"""Kinds of rows, and the values they have.

price: micro-dollars. limit: a count. rate: a count for each `per`. flag: true or false. text: words for people.
history: months that can be viewed. retention: the class of data retention.
"""

Enforcer = Literal["meter", "runtime", "page", "others"]
"""Who enforces a row.

meter: this product, when it counts and charges. runtime: the bot's runtime or its builder, which get the row with the
entitlement. page: the pages and interfaces for reading. others: people and contracts; the row only describes.
"""

RowValue = bool | int | str

CUSTOM: Final = "custom"
"""The value of a row that the contract decides."""

UNLIMITED: Final = "unlimited"

MINIMUM_TOP_UP_MICROS: Final = 100 * DOLLAR_MICROS
"""The smallest purchase and the smallest auto-reload."""


class Row(msgspec.Struct, frozen=True):
    """One row: its number in the published table, a name for programs, a title for people, and a value in each plan."""

    number: str
    name: str
    title: str
    kind: RowKind
    enforced_by: Enforcer
    standard: RowValue
    enterprise: RowValue
    examples: Mapping[CatalogueName, RowValue] = {}
    per: str = ""

    def value_in(self, plan: CatalogueName) -> RowValue:
        """Return the value in `plan`."""
        if plan == "enterprise":
            return self.enterprise
        return self.examples.get(plan, self.standard)


def _flag(number: str, name: str, title: str, *, standard: bool = True, enforced_by: Enforcer = "runtime") -> Row:
    """A feature that Enterprise has, and Standard unless `standard` is false."""
    return Row(number, name, title, "flag", enforced_by, standard, True)


def _limit(number: str, name: str, title: str, standard: int, trial: int) -> Row:
    """A number that the runtime or the builder enforces. Enterprise has its contract's."""
    return Row(number, name, title, "limit", "runtime", standard, CUSTOM, {"trial": trial})


def _rate(number: str, name: str, title: str, per: str, standard: int, trial: int, by: Enforcer = "runtime") -> Row:
    """A number for each `per` that `by` enforces. Enterprise has its contract's."""
    return Row(number, name, title, "rate", by, standard, CUSTOM, {"trial": trial}, per)


def _text(number: str, name: str, title: str, enforced_by: Enforcer, standard: str, enterprise: str) -> Row:
    return Row(number, name, title, "text", enforced_by, standard, enterprise)


_UNIT_MICROS: Final = STANDARD_CONVERSATION_MICROS
_FROM_CREDIT: Final = f"as far as the credit goes; purchases from {dollars(MINIMUM_TOP_UP_MICROS)}"
_PREMIUM: Final = "conversation designer, knowledge graph, multi-engine NLP, all channels"

ROWS: Final = (
    _text("R1", "plan_type", "Plan type", "meter", "by the conversation", "by the session"),
    Row("R2", "unit_price", "Price of a unit", "price", "meter", _UNIT_MICROS, CUSTOM, {"advanced": 180_000}),
    _text("R3", "usage_limits", "Usage limits", "meter", _FROM_CREDIT, CUSTOM),
    _text(
        "R4",
        "exclusive_features",
        "Exclusive features",
        "others",
        _PREMIUM,
        f"{_PREMIUM}, topic modeler, universal bots, higher limits, own premises",
    ),
    _flag("R5", "conversation_designer", "Conversation designer"),
    _flag("R6", "dialog_builder", "Dialog builder"),
    _limit("R7", "dialog_tasks", "Dialog tasks, up to", 200, trial=20),
    _flag("R8", "topic_modeler", "Topic modeler", standard=False),
    _rate("R9", "proactive_notifications", "Proactive notifications, up to", "hour", 500, trial=50, by="meter"),
    _flag("R10", "small_talk", "Small talk"),
    _flag("R11", "visual_experience", "Forms and widgets"),
    _flag("R12", "knowledge_extraction", "Knowledge extraction"),
    _flag("R13", "knowledge_graph", "Knowledge graph"),
    _limit("R14", "faqs", "FAQs, up to", 1_000, trial=100),
    _text("R15", "channels", "Channels", "runtime", "all available channels", "all available channels"),
    _flag("R16", "multilingual_assistants", "Multilingual assistants"),
    _flag("R17", "universal_assistants", "Universal assistants", standard=False),
    _flag("R18", "multi_engine_nlp", "Multi-engine NLP"),
    _text("R19", "ml_training_models", "ML training models", "runtime", "standard", "advanced"),
    _limit("R20", "training_utterances", "Training utterances in all, up to", 10_000, trial=1_000),
    _flag("R21", "conversational_intelligence", "Conversational intelligence"),
    _flag("R22", "multi_intent_management", "Several intents in one input"),
    _flag("R23", "entity_amendments", "Entity amendments"),
    _flag("R24", "sentiment_analysis", "Sentiment analysis"),
    _limit("R25", "batch_test_cases", "Test cases in a batch test suite, up to", 10_000, trial=1_000),
    _limit("R26", "conversation_test_cases", "Test cases for conversation testing, up to", 1_000, trial=100),
    _rate("R27", "batch_tests", "Batch tests, up to", "day", 10, trial=2),
    _rate("R28", "conversation_tests", "Conversation tests, up to", "day", 10, trial=2),
    _flag("R29", "ivr_sandbox", "IVR sandbox"),
    _flag("R30", "service_orchestration", "Service orchestration"),
    _flag("R31", "agent_transfer", "Agent transfer"),
    _flag("R32", "platform_sdk", "Platform SDK"),
    _flag("R33", "web_and_mobile_clients", "Web and mobile clients"),
    _flag("R34", "variables", "Variables for environments"),
    _limit("R35", "versions", "Versions", 20, trial=3),
    _flag("R36", "version_comparison", "Comparison of versions"),
    _flag("R37", "prebuilt_analytics", "Prebuilt analytics"),
    Row("R38", "custom_widgets", "Widgets for own KPIs", "limit", "runtime", 10, UNLIMITED, {"advanced": 20}),
    Row("R39", "analytics_history", "History that can be viewed", "history", "page", 3, CUSTOM, {"trial": 1}, "months"),
    _text("R40", "deployment_model", "Deployment", "others", "cloud", "cloud, hybrid, own premises"),
    _flag("R41", "sso", "Single sign-on for domain users", enforced_by="page"),
    Row("R42", "data_retention", "Retention of user data", "retention", "meter", "standard", "advanced"),
    Row("R43", "collaborators", "Collaborators of an assistant", "limit", "runtime", UNLIMITED, UNLIMITED),
    _flag("R44", "public_apis", "Public APIs", enforced_by="page"),
    _flag("R45", "ad_sync", "Import of users from a directory", standard=False),
    _flag("R46", "cloud_connector", "Connector through the firewall", standard=False),
    _text(
        "R47",
        "basic_support",
        "Basic support",
        "others",
        "included: community, academy, documentation",
        "included: community, academy, documentation",
    ),
    _text(
        "R48",
        "standard_support",
        "Standard support",
        "others",
        f"can be bought, from {dollars(STANDARD_SUPPORT.minimum_month_micros)} a month: {STANDARD_SUPPORT.service}",
        ENTERPRISE_SUPPORT.service,
    ),
    _text("R49", "enterprise_support", "Enterprise support", "others", "not available", "can be bought"),
)
"""All rows, in the order in which they are published."""

assert len({row.name for row in ROWS}) == len(ROWS), "two rows have one name"

"""The templates are those that were asked for, each with its fields, recipients, links and words."""

import re
from string import Formatter
from typing import Final

import pytest

from meter.notify.render import TEMPLATES as FOLDER
from meter.notify.samples import sample
from schemas.notice_templates import TEMPLATES
from schemas.notices import typed_fields
from tests.notices.seed import MAILS, Mail

NAMES: Final = """
signup-confirm signup-confirm-again invitation first-publish-auto-free first-publish-admin-free first-publish-auto-paid
first-publish-admin-paid publish-requested publish-refused published purchase auto-reload order-invoice
wire-instructions auto-reload-enabled auto-reload-disabled low-balance threshold-crossed threshold-recovered
paid-zero-no-free paid-below-zero-free-left free-exhausted-bots free-exhausted-workspace free-expiring free-expired
plan-switched plan-switched-bots auto-reload-failed-card auto-reload-failed-paypal method-expiring method-expired
subscription-cancelled support-purchase support-invoice support-renewal support-renewal-failed upgrade-requested
upgrade-decided refunded unit-voided
"""
"""The names that others depend on."""

PLACEHOLDERS: Final = {"scope", "workspace_id"}


def test_the_templates_have_the_names_that_others_depend_on() -> None:
    assert sorted(TEMPLATES) == sorted(NAMES.split())


def test_every_template_is_asked_for_and_every_mail_has_one() -> None:
    assert sorted(name for mail in MAILS for name in mail.templates) == sorted(TEMPLATES)
    assert {mail.number for mail in MAILS} == {f"Z{number}" for number in range(1, 33)}


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: f"{mail.number}-{mail.templates[0]}")
def test_a_mail_has_the_fields_and_links_that_are_asked_for_and_no_others(mail: Mail) -> None:
    """Z1 to Z32: the fields that the seed lists, and those that a sentence of ours needs besides."""
    for name in mail.templates:
        template = TEMPLATES[name]
        has_bot = template.about in ("bot", "scope")
        names = [field.name for field in template.fields_for("bot" if has_bot else None)]
        assert sorted(names) == sorted({*mail.fields, *mail.added})
        assert template.to == mail.to
        assert set(mail.links) <= {link.label for link in template.links}


@pytest.mark.parametrize("name", ["purchase", "auto-reload"])
def test_amounts_of_auto_reload_are_there_only_while_it_is_on(name: str) -> None:
    """Z7, Z8: the only fields of the seed with a condition."""
    conditions = {field.name: field.condition() for field in TEMPLATES[name].fields if field.when}
    assert conditions == {
        "auto_reload_amount_micros": "auto_reload_status is Activated",
        "minimum_credit_micros": "auto_reload_status is Activated",
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_type_of_a_field_is_that_of_its_name(name: str) -> None:
    for field in TEMPLATES[name].fields:
        by_name = {"micros": "micros", "at": "instant", "month": "month", "percent": "percent", "count": "count"}
        expected = by_name.get(field.name.rpartition("_")[2])
        assert expected is None or field.kind == expected, field.name


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_trigger_is_a_sentence(name: str) -> None:
    assert re.fullmatch(r"[A-Z][^\n]+\.", TEMPLATES[name].trigger)


@pytest.mark.parametrize("name", TEMPLATES)
def test_links_name_only_what_the_notice_always_has(name: str) -> None:
    """A link that names a field with a condition could not be written when the field is missing."""
    always = {field.name for field in TEMPLATES[name].fields if field.when is None and field.kind == "text"}
    for link in TEMPLATES[name].links:
        named = {part for _, part, _, _ in Formatter().parse(link.path) if part}
        assert link.path.startswith(("/", "{scope}/"))
        assert named <= always | PLACEHOLDERS


def test_every_template_has_its_words_and_no_words_are_left_over() -> None:
    files = {path.name.removesuffix(".j2") for path in FOLDER.glob("*.j2")}
    assert files == {*TEMPLATES, "layout.subject", "layout.text", "layout.html", "invoice.html"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_sample_fits_its_template(name: str) -> None:
    assert typed_fields(sample(name)).keys() == sample(name).fields.keys()

"""A notice has exactly the fields of its template, each of its type; anything else is refused with a sentence."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest

from meter.notify.samples import sample
from schemas.notice_templates import TEMPLATES
from schemas.notices import Notice, NoticeError, Recipient, decode_notice, encode_notice, template_of, typed_fields

WRONG: Final[dict[str, Any]] = {
    "text": 7,
    "message": "",
    "texts": [],
    "micros": 1.5,
    "instant": "2026-11-30T13:05:00",
    "month": "2026-13",
    "count": -1,
    "percent": 101,
    "bots": [{"bot_name": "a", "status": "Asleep"}],
    "bot_usage": [{"bot_name": "a", "status": "Inactive"}],
}
"""A value of another type, by the type of the field."""

CASES: Final = [
    (name, field) for name in TEMPLATES for field in TEMPLATES[name].fields if field.name in sample(name).fields
]
"""Each field that is there in the sample of its template; `bot_name` and conditions have tests of their own."""
IDS: Final = [f"{name}-{field.name}" for name, field in CASES]


def with_fields(name: str, **changes: Any) -> Notice:
    """The sample of a template with other fields; None takes a field away."""
    notice = sample(name)
    fields = {key: value for key, value in (notice.fields | changes).items() if value is not None}
    return msgspec.structs.replace(notice, fields=fields)


def refusal(notice: Notice) -> str:
    """The sentence with which a notice is refused."""
    with pytest.raises(NoticeError) as caught:
        typed_fields(notice)
    return str(caught.value)


@pytest.mark.parametrize(("name", "field"), CASES, ids=IDS)
def test_a_missing_field_is_refused(name: str, field: Any) -> None:
    assert f"{name}: fields.{field.name}: required" in refusal(with_fields(name, **{field.name: None}))


@pytest.mark.parametrize(("name", "field"), CASES, ids=IDS)
def test_a_field_of_another_type_is_refused(name: str, field: Any) -> None:
    wrong = "perhaps" if field.choices else WRONG[field.kind]
    assert f"{name}: fields.{field.name}: " in refusal(with_fields(name, **{field.name: wrong}))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_field_too_many_is_refused(name: str) -> None:
    said = refusal(with_fields(name, colour="blue"))
    assert said.startswith(f"{name}: fields.colour: is no field of this template, which has ")


@pytest.mark.parametrize("name", ["purchase", "auto-reload"])
def test_amounts_of_auto_reload_must_be_missing_while_it_is_off(name: str) -> None:
    """Z7, Z8."""
    off = {"auto_reload_status": "Not Activated"}
    said = refusal(with_fields(name, **off))
    assert said == f"{name}: fields.auto_reload_amount_micros: must not be there unless auto_reload_status is Activated"
    bare = with_fields(name, **off, auto_reload_amount_micros=None, minimum_credit_micros=None)
    assert typed_fields(bare)["auto_reload_status"] == "Not Activated"


@pytest.mark.parametrize("name", ["threshold-crossed", "threshold-recovered"])
def test_a_threshold_is_in_dollars_or_in_percent_as_its_measure_says(name: str) -> None:
    percent = {"measure": "free_left_percent", "threshold_micros": None, "value_micros": None}
    assert "threshold_percent: required" in refusal(with_fields(name, **percent))
    typed = typed_fields(with_fields(name, **percent, threshold_percent=20, value_percent=19))
    assert (typed["threshold_percent"], typed["value_percent"]) == (20, 19)
    assert "threshold_percent: must not be there unless" in refusal(with_fields(name, threshold_percent=20))


def test_a_decision_has_a_price_and_a_contract_or_a_reason() -> None:
    refused = {"decision": "refused", "session_price_micros": None, "contract_id": None}
    assert "reason: required" in refusal(with_fields("upgrade-decided", **refused))
    assert typed_fields(with_fields("upgrade-decided", **refused, reason="No contract."))["reason"] == "No contract."


@pytest.mark.parametrize("name", TEMPLATES)
def test_bot_id_fits_what_the_notice_is_about(name: str) -> None:
    """A notice about credit may be about a bot's or the shared one, and then it has no bot_name."""
    about, notice = TEMPLATES[name].about, sample(name)
    if about == "bot":
        assert "bot_id: required" in refusal(msgspec.structs.replace(notice, bot_id=None))
    elif about == "scope":
        assert "bot_name: is no field" in refusal(msgspec.structs.replace(notice, bot_id=None))
        shared = msgspec.structs.replace(with_fields(name, bot_name=None), bot_id=None)
        assert "bot_name" not in typed_fields(shared)
    else:
        assert "bot_id: must not be there" in refusal(msgspec.structs.replace(notice, bot_id="returns"))


def test_a_notice_about_a_bot_has_its_name() -> None:
    assert "bot_name: required" in refusal(with_fields("published", bot_name=None))
    assert "bot_name: " in refusal(with_fields("published", bot_name=7))


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(NoticeError, match="sunshine: there is no such template"):
        template_of(msgspec.structs.replace(sample("purchase"), template="sunshine"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_notice_is_read_as_it_was_written(name: str) -> None:
    assert decode_notice(encode_notice(sample(name))) == sample(name)


def test_times_of_fields_have_their_type() -> None:
    assert typed_fields(sample("purchase"))["purchased_at"] == datetime(2026, 11, 30, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize("email", ["mia@example.com", "a.b+c@mail.example.co.uk", "x@localhost", "o'neil@example.com"])
def test_an_address_is_read(email: str) -> None:
    assert msgspec.convert({"email": email}, Recipient).email == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "mia",
        "@example.com",
        "mia@",
        "mia@example.com\n",
        "mia@example.com\r\nBcc: all@example.com",
        "mia@example.com, noah@example.com",
        "Mia <mia@example.com>",
        "a..b@example.com",
        "mia@-example.com",
        "mia@exa mple.com",
        "mia@ex\u00e4mple.com",
        "a" * 321 + "@example.com",
    ],
)
def test_an_address_that_could_change_a_header_is_refused(email: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"email": email}, Recipient)


def test_a_notice_needs_a_person() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_notice(encode_notice(msgspec.structs.replace(sample("purchase"), to=())))

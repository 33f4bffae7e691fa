"""The codes of refused records: why a record became a dead letter, in one word. For metrics, alerts and SQL."""

from typing import Final, Literal, get_args

RejectionCode = Literal[
    "already_settled",
    "amount_above_maximum",
    "amount_below_minimum",
    "amount_too_large",
    "card_number",
    "conflict",
    "future",
    "internal",
    "invalid",
    "invalid_field",
    "invalid_utf8",
    "late",
    "lost",
    "method_not_allowed",
    "missing_field",
    "more_than_left",
    "no_completed_top_up",
    "not_an_event",
    "not_json",
    "null_value",
    "payment_in_progress",
    "too_large",
    "too_old",
    "unknown_method",
    "unknown_order",
    "unknown_type",
    "unreadable_batch",
    "wrong_partition",
]
"""The codes, and when each is used.

conflict: the id belongs to other content. future: dated more than 5 minutes ahead of its arrival. late: older than the
late horizon. too_old: dated before 1970. invalid: a command that cannot take effect. amount_too_large: credit
beyond what a wallet can count. invalid_field, missing_field: a
field is wrong or absent. not_an_event, unknown_type: JSON of another shape or type. invalid_utf8, not_json, null_value,
too_large: cannot be read. unreadable_batch: a whole batch of records cannot be unpacked. wrong_partition: lies in
another partition than its workspace's, and was moved before or may not be moved. internal: workers ended three times
while they processed it. amount_below_minimum, amount_above_maximum: of one order. payment_in_progress: another order of
the scope waits for its payment. unknown_order, unknown_method: no such one. already_settled: paid, so it cannot be
cancelled. more_than_left: a refund of more than is left of the order. no_completed_top_up: an auto-reload needs one.
method_not_allowed: not for this purpose. card_number: a field looks like the number of a card. lost: a range of
records was deleted unread, and an operator accepted it.
"""

FOREIGN: Final = "foreign"
"""The code of a record on the topic dead-letters that the meter did not write."""

REJECTION_CODES: Final[tuple[str, ...]] = get_args(RejectionCode)

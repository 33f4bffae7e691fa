"""Names that the code does not use any more: one name for one concept.

`EXACT` holds whole identifiers as they are written, leading underscores aside. `PARTS` holds words of identifiers, in
lower case: `told` is in `_told_ms` and in `ToldMs`. Each goes by where it is forbidden and says what to write instead.
"""

from typing import Final, NamedTuple


class Name(NamedTuple):
    """A retired name. It is forbidden in paths that begin with one of `within` and with none of `except_in`."""

    name: str
    instead: str
    within: tuple[str, ...] = ("schemas/", "meter/", "aggregator/")
    except_in: tuple[str, ...] = ()


EXACT: Final = (
    Name("Page", "LedgerUpdate"),
    Name("NotAPageError", "an error named after LedgerUpdate"),
    Name("Account", "BilledConversation"),
    Name("Tally", "EventCounts of the partition, or CountComparison"),
    Name("Telling", "ComparisonKey"),
    Name("Landing", "LetterLocation"),
    Name("Point", "ComparedOffset"),
    Name("Begun", "ExpectedWorkspaces"),
    Name("Claim", "ExpectedDeadLetters", within=("aggregator/",)),
    Name("Sent", "RawRecords"),
    Name("Log", "KafkaTopics"),
    Name("Whole", "Int64"),
    Name("held_s", "last_owned_s"),
    Name("tend", "run_periodic"),
    Name("take", "process, drain, decode_varint or debit"),
    Name("what", "event_class"),
    Name("what_of", "event_class_of"),
    Name("begin_sent", "a name with RawRecords"),
)

PARTS: Final = (
    Name(
        "page",
        "ledger_update; a page is one of the web",
        within=("schemas/", "meter/"),
        except_in=("meter/settings.py", "meter/notify/", "meter/cli/"),
    ),
    Name("pages", "ledger_updates", within=("schemas/", "meter/")),
    Name("account", "conversation, billed_conversation", within=("meter/core/", "meter/charger/")),
    Name("accounts", "conversations, billed_conversations", within=("meter/core/", "meter/charger/")),
    Name("tally", "event_counts"),
    Name("tallies", "event_counts"),
    Name("telling", "comparison_key"),
    Name("announcement", "metered_update", within=("meter/",)),
    Name("announcements", "metered_updates", within=("meter/",)),
    Name("appointment", "timer"),
    Name("appointments", "timers"),
    Name("obey", "apply_command"),
    Name("whats", "EVENT_CLASSES"),
    Name("place", "record_key, location, channel_scope, scope or directory"),
    Name("places", "record_keys, locations, channel_scopes, scopes or directories"),
    Name("settle", "expire, is_complete or mark_written; settling is charging", except_in=("meter/core/wallet/",)),
    Name(
        "settled",
        "expired, is_complete or written; settling is charging, and what a payment does",
        except_in=("meter/core/wallet/", "meter/payments/", "schemas/payment_commands.py"),
    ),
    Name("unsettled", "incomplete or unwritten; settling is charging", except_in=("meter/core/wallet/",)),
    Name(
        "claim",
        "expected_... or lock_...; a claim is what a replay writes",
        except_in=("schemas/replays.py", "meter/dead_letters/", "meter/cli/dead_letters.py"),
    ),
    Name(
        "round",
        "batch or pass; a round is one of reconciliation",
        except_in=("aggregator/reconciliation/", "aggregator/core/reconciliation/", "aggregator/cli/"),
    ),
    # Times and figures that are named by who said so.
    Name("told", "last_safe_point_ms, reported_ms: the event that set it"),
    Name("heard", "last_batch_s: the event that set it"),
    Name("sought", "last_seek_s: the event that set it"),
    # Names that say nothing.
    Name("manager", "the thing that it does: Writer, Reader, Lock"),
    Name("helper", "the thing that it does"),
    Name("helpers", "the thing that they do"),
    Name("util", "the thing that it does"),
    Name("utils", "the thing that they do"),
    Name("misc", "the thing that it does"),
)

FILES: Final = {
    "take.c": "ingest.c",
    "announce.c": "updates.c",
    "bring.c": "unspill.c",
    "face.c": "py_entries.c",
    "keep.c": "index.c",
    "ageing.c": "expiry.c",
    "due.c": "timers.c",
    "names.c": "strings.c",
    "till.py": "wallet_harness.py",
    "spoken.py": "record_cases.py",
    "kept.py": "memory_state_topic.py",
    "staged.py": "stage_fakes.py",
    "test_once_wrong.py": "test_regressions.py",
    "utils.py": "a name that says what it holds",
    "util.py": "a name that says what it holds",
    "helpers.py": "a name that says what it holds",
    "common.py": "a name that says what it holds",
    "misc.py": "a name that says what it holds",
}
"""File names that are not used any more -> the name to use."""

"""What the Python peers keep of an interaction: its newest conversation, by hand, in a dict.

None of them has session windows that hold up under a day's lateness, so each folds messages into the value that it
keeps under the interaction's key. That asks less of them than of the meter: no late messages, no bridges, no
repeats, no sessions, no refusals, and a time that is only parsed.
"""

from datetime import datetime
from typing import Any, Final

GAP_S: Final = 15 * 60.0

Conversation = dict[str, Any]
"""first_s, last_s: epoch seconds; messages, requests: counts."""


def interaction_of(event: dict[str, Any]) -> str:
    """The key under which an event's conversation is kept."""
    data = event["data"]
    return f"{data['workspace_id']}|{data['bot_id']}|{data['channel']}|{data['channel_user_id']}"


def folded(conversation: Conversation | None, event: dict[str, Any]) -> Conversation:
    """The conversation with one more message: a new one if the silence was longer than the gap."""
    at_s = datetime.fromisoformat(event["time"]).timestamp()
    request = int(event["data"]["direction"] == "in")
    if conversation is None or at_s - conversation["last_s"] > GAP_S:
        return {"first_s": at_s, "last_s": at_s, "messages": 1, "requests": request}
    return {
        "first_s": conversation["first_s"],
        "last_s": at_s,
        "messages": conversation["messages"] + 1,
        "requests": conversation["requests"] + request,
    }


class Counted:
    """What a peer has folded: every message, and every conversation when its first one comes."""

    def __init__(self) -> None:
        self.messages = 0
        self.conversations = 0

    def add(self, conversation: Conversation) -> None:
        """One more message has made the conversation what it is."""
        self.messages += 1
        self.conversations += conversation["messages"] == 1

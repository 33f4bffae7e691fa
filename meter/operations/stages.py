"""The stages as operators' commands see them: a source topic, its state topic, and how a loss is counted in a mark."""

from collections.abc import Callable
from typing import Final, NamedTuple

from meter.charger.state import count_lost as count_lost_inputs
from meter.commands.mover import count_lost as count_lost_commands
from meter.sessionizer.sessionizer import count_lost as count_lost_events
from schemas.topics import (
    ACCOUNT_COMMANDS,
    CHAT_EVENTS,
    COMMAND_STATE,
    CONVERSATION_STATE,
    WALLET_INPUTS,
    WALLET_STATE,
    Topic,
)


class StageTopics(NamedTuple):
    """One stage. `count_lost` returns the fold's part of a mark with one more refused record."""

    source: Topic
    state: Topic
    count_lost: Callable[[bytes], bytes]


SESSIONS: Final = StageTopics(CHAT_EVENTS, CONVERSATION_STATE, count_lost_events)
WALLETS: Final = StageTopics(WALLET_INPUTS, WALLET_STATE, count_lost_inputs)
COMMANDS: Final = StageTopics(ACCOUNT_COMMANDS, COMMAND_STATE, count_lost_commands)
STAGES: Final = (SESSIONS, WALLETS, COMMANDS)

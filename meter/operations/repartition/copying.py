"""The first phase: the state is written to the partitions in which it belongs, and the new marks are decided.

Nothing of it counts yet. All former marks stay, so the phase may begin again any number of times.
"""

from typing import NamedTuple, Protocol

from meter.charger.state import encode as encode_wallets
from meter.commands.mover import Mark as CommandsMark
from meter.commands.mover import decode_mark as decode_commands
from meter.commands.mover import encode_mark as encode_commands
from meter.operations.repartition.routes import Routes
from meter.operations.repartition.sessions import SessionsCopy
from meter.operations.repartition.sessions import mark_of as sessions_mark
from meter.operations.repartition.sources import Source, find_source
from meter.operations.repartition.targets import Targets, remove
from meter.operations.repartition.wallets import WalletsCopy
from meter.operations.repartition.wallets import mark_of as wallets_mark
from meter.operations.stages import COMMANDS, SESSIONS, STAGES, WALLETS, StageTopics
from meter.sessionizer.sessionizer import encode_mark as encode_sessions
from meter.stage.mark import Life, Version, encode_mark, new_mark
from meter.stage.ports import Topics
from schemas.layout import DecidedMark


class Progress(Protocol):
    """A repartition reports its progress here. `meter/cli/progress.py` displays it."""

    def phase(self, name: str, total: int | None) -> None:
        """Called when a new phase begins, which ends the one before."""


class Copied(NamedTuple):
    """The marks that were decided, and how many workspaces and interactions there are."""

    marks: tuple[DecidedMark, ...]
    workspaces: int
    interactions: int


Found = dict[str, list[Source]]
"""All partitions that each state topic has now, by the topic's name."""


async def find_all(topics: Topics, routes: Routes) -> Found:
    """Read what the logs of all state topics hold."""
    numbers = range(routes.after)
    return {
        stage.state.name: [await find_source(topics, stage.state, number, routes.generation) for number in numbers]
        for stage in STAGES
    }


async def copy(topics: Topics, routes: Routes, progress: Progress) -> Copied:
    """Copy all state, after what an earlier attempt has written is removed. Changes nothing that counts."""
    progress.phase("reading the state", None)
    found = await find_all(topics, routes)
    for sources in found.values():
        for source in sources:
            await remove(topics, source, of=routes.generation)
    progress.phase("copying wallets", None)
    offsets = [source.offset for source in found[WALLETS.state.name]]
    wallets = WalletsCopy(topics, routes, found[WALLETS.state.name][: routes.before], offsets)
    await wallets.run(_targets(topics, routes, WALLETS, found))
    progress.phase("copying conversations", None)
    offsets = [source.offset for source in found[SESSIONS.state.name]]
    sessions = SessionsCopy(topics, routes, found[SESSIONS.state.name][: routes.before], offsets)
    await sessions.run(_targets(topics, routes, SESSIONS, found))
    lives = {stage.state.name: await _life(topics, routes, stage) for stage in STAGES}
    marks: list[DecidedMark] = []
    for number in range(routes.after):
        folds = _folds(found, number, wallets, sessions)
        marks += [_decided(lives[state], found[state][number], fold) for state, fold in folds.items()]
    return Copied(tuple(marks), sum(wallets.workspaces), sessions.interactions)


def _targets(topics: Topics, routes: Routes, stage: StageTopics, found: Found) -> Targets:
    versions = [Version(routes.generation, source.offset) for source in found[stage.state.name]]
    return Targets(topics, stage.state, versions, [source.fence for source in found[stage.state.name]])


def _folds(found: Found, number: int, wallets: WalletsCopy, sessions: SessionsCopy) -> dict[str, bytes]:
    """Decide the folds' parts of the marks of one partition, by the state topic's name."""
    sessions_at, wallets_at = found[SESSIONS.state.name][number], found[WALLETS.state.name][number]
    own_sessions, own_wallets = sessions_mark(sessions_at), wallets_mark(wallets_at)
    # Where a loss was accepted, the two counts may differ already. Then they go on differing by as much.
    differ = own_sessions.counts.closed_messages - own_wallets.source.messages
    closed_messages = max(0, wallets.messages[number] + differ)
    return {
        SESSIONS.state.name: encode_sessions(sessions.mark(own_sessions, number, closed_messages)),
        WALLETS.state.name: encode_wallets(wallets.mark(own_wallets, number, sessions_at.offset)),
        COMMANDS.state.name: encode_commands(_commands_mark(found[COMMANDS.state.name][number])),
    }


def _commands_mark(source: Source) -> CommandsMark:
    return decode_commands(source.mark.fold) if source.mark and source.mark.fold else CommandsMark()


async def _life(topics: Topics, routes: Routes, stage: StageTopics) -> Life:
    source, state = await topics.identity(stage.source.name), await topics.identity(stage.state.name)
    wanted = {source.partitions, state.partitions}
    assert wanted == {routes.after}, "partitions are added before state is copied"
    return Life(routes.generation, source, state)


def _decided(life: Life, source: Source, fold: bytes) -> DecidedMark:
    mark = new_mark(life, source.offset - 1, (), fold)
    return DecidedMark(source.state.name, source.partition, source.offset, encode_mark(mark))

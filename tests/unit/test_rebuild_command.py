"""`meter rebuild`: whose state it makes again. A refusal that names the command must be over after it."""

from collections.abc import Sequence

import pytest
from click.testing import CliRunner

from meter.cli import operate
from meter.operations import rebuild
from meter.operations.rebuild import Again
from meter.operations.stages import STAGES, StageTopics
from meter.settings import Settings
from schemas.topics import COMMAND_STATE, CONVERSATION_STATE, WALLET_STATE


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The state topics that the command was to look at."""
    found: list[str] = []

    async def plan(_: Settings, stages: Sequence[StageTopics]) -> list[Again]:
        found.extend(stage.state.name for stage in stages)
        return []

    monkeypatch.setattr(rebuild, "plan", plan)
    return found


def test_every_state_that_a_worker_can_refuse_is_made_again(planned: list[str]) -> None:
    """A worker refuses any of the three state topics with the same sentence, and the command without options."""
    assert CliRunner().invoke(operate.rebuild_command, []).exit_code == 0
    assert planned == [stage.state.name for stage in STAGES]


@pytest.mark.parametrize(
    ("which", "state"),
    [("conversations", CONVERSATION_STATE), ("wallets", WALLET_STATE), ("commands", COMMAND_STATE)],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_one_state_can_be_made_again_alone(planned: list[str], which: str, state: object) -> None:
    """For example where the records of another one are deleted already."""
    assert CliRunner().invoke(operate.rebuild_command, ["--state", which]).exit_code == 0
    assert planned == [getattr(state, "name", None)]

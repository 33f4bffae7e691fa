"""Which function plays which act."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos import act as kinds
from tests.chaos.act import Act
from tests.chaos.clickhouse_again import clickhouse_again
from tests.chaos.repartition import partitions_added
from tests.chaos.scene import Scene
from tests.chaos.topics_again import output_again, source_again, state_again

PLAYED_BY: Final[Mapping[str, Callable[[Scene, Act], None]]] = {
    kinds.SOURCE: source_again,
    kinds.STATE: state_again,
    kinds.OUTPUT: output_again,
    kinds.EMPTIED: clickhouse_again,
    kinds.RESTORED: clickhouse_again,
    kinds.REPARTITIONED: partitions_added,
}


def perform(scene: Scene, act: Act) -> None:
    """Play the act, and let the feed go on. Raises ActError where the product does not do what its sentences say."""
    PLAYED_BY[act.kind](scene, act)
    scene.feeding.go_on()

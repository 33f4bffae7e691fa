"""Which function plays which act."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos import act as kinds
from tests.chaos.act import Act
from tests.chaos.clickhouse_anew import clickhouse_anew
from tests.chaos.repartition import partitions_added
from tests.chaos.scene import Scene
from tests.chaos.topics_anew import output_anew, source_anew, state_anew

PLAYED_BY: Final[Mapping[str, Callable[[Scene, Act], None]]] = {
    kinds.SOURCE: source_anew,
    kinds.STATE: state_anew,
    kinds.OUTPUT: output_anew,
    kinds.EMPTIED: clickhouse_anew,
    kinds.RESTORED: clickhouse_anew,
    kinds.REPARTITIONED: partitions_added,
}


def perform(scene: Scene, act: Act) -> None:
    """Play the act, and let the feed go on. Raises ActError where the product does not do what its sentences say."""
    PLAYED_BY[act.kind](scene, act)
    scene.feeding.go_on()

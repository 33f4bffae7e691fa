"""Acts that take from ClickHouse what the aggregators' group has read already."""

from tests.chaos.act import RESTORED, Act
from tests.chaos.operator_acts import require_refusal
from tests.chaos.scene import Scene


def clickhouse_again(scene: Scene, act: Act) -> None:
    """Empty ClickHouse, or bring back an older copy. Early: the meter and the feed go on meanwhile."""
    scene.drain()
    scene.end("aggregator", kills=act.kills)
    if act.is_early:
        scene.feeding.go_on()
    scene.clickhouse.kill()
    if act.kind == RESTORED:
        scene.clickhouse.restore()
    else:
        scene.clickhouse.empty()
    scene.clickhouse.start()
    scene.operator.do("aggregator", "migrate")
    require_refusal(scene.fleet, "aggregator", "python -m aggregator rebuild")
    scene.operator.do("aggregator", "rebuild", "--yes", cut_s=act.cut_s)
    scene.start("aggregator")

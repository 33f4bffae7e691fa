"""The steps of a repartition, each begun by a layout record. Killed anywhere, the command goes on at the last one.

begun    workers refuse to start; partitions are added; state is copied, and does not count yet
copied   all copies are there, and the new marks are decided: the record holds them
marked   the new marks are written, so that former state does not count any more; it is removed
done     workers may start
"""

from msgspec.structs import replace

from meter.kafka.layouts import LayoutError, read_layout, write_layout
from meter.operations.marks import write_mark
from meter.operations.repartition.copying import Copied, Progress, copy, find_all
from meter.operations.repartition.routes import Routes
from meter.operations.repartition.targets import remove
from meter.operations.stages import STAGES
from meter.stage.mark import Version, decode_mark
from meter.stage.ports import Topics
from schemas.layout import LayoutRecord


async def move_state(topics: Topics, progress: Progress) -> Copied | None:
    """Take all steps that are left of a repartition that has begun, when the partitions are there.

    Must be called with a producer that was started after they were added, while no worker runs. Returns what was
    copied; None if an earlier command had copied it. Raises LayoutError if another command goes on meanwhile.
    """
    layout = await _begun(topics)
    copied = None
    if layout.step == "begun":
        copied = await copy(topics, Routes.of(layout), progress)
        layout = replace(layout, step="copied", marks=copied.marks)
        await write_layout(topics, layout)
    if layout.step == "copied":
        progress.phase("putting the new state in force", None)
        await write_marks(topics, layout)
        layout = replace(layout, step="marked")
        await write_layout(topics, layout)
    return copied


async def clear_up(topics: Topics, progress: Progress) -> None:
    """Remove the former state. Called when the new marks are written."""
    progress.phase("removing the former state", None)
    routes = Routes.of(await _begun(topics))
    for sources in (await find_all(topics, routes)).values():
        for source in sources:
            await remove(topics, source, before=routes.generation)


async def finish(topics: Topics) -> None:
    """Let workers start again."""
    await write_layout(topics, replace(await _begun(topics), step="done", marks=()))


async def _begun(topics: Topics) -> LayoutRecord:
    layout = await read_layout(topics)
    if layout is None or layout.step == "done":
        raise LayoutError("another `python -m meter repartition` has ended meanwhile: start the workers")
    return layout


async def write_marks(topics: Topics, layout: LayoutRecord) -> None:
    """Write the marks that were decided. A repeat writes the same ones, under other keys."""
    states = {stage.state.name: stage.state for stage in STAGES}
    for each in layout.marks:
        mark = decode_mark(each.value, f"{each.topic}/{each.partition}")
        await write_mark(topics, states[each.topic], each.partition, Version(layout.generation, each.offset), mark)

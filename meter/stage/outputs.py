"""Sending the outputs of a fold to their topics."""

from collections.abc import Iterable

from meter.kafka.records import Delivery
from meter.stage.fold import Output
from meter.stage.ports import Topics


async def send(topics: Topics, outputs: Iterable[Output]) -> list[Delivery]:
    """Append outputs in their order, and read `outputs` to its end.

    Returns before the broker has acknowledged them: the deliveries complete then, and a checkpoint waits for them.
    """
    deliveries: list[Delivery] = []
    for output in outputs:
        topic, records = output.topic.name, output.records
        if callable(records):
            packed = records(await topics.partitions(topic))
            deliveries += [await topics.append_packed(topic, each) for each in packed]
        elif output.partition is not None:
            deliveries += await topics.append(topic, output.partition, records)
        else:
            deliveries += await topics.append_keyed(topic, records)
    return deliveries

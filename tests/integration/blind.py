"""`python -m tests.integration.blind worker`: a meter worker whose first questions about its topics are lost."""

import logging
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from faust.assignor import partition_assignor

from meter.cli.main import main
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS

INPUTS: Final = {ACCOUNT_COMMANDS.name, CHAT_EVENTS.name, WALLET_INPUTS.name}


class Said(logging.Filter):
    """Knows whether the worker has led its group without its topics: then the assignor has said so."""

    yet = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass."""
        self.yet = self.yet or record.msg.startswith("Ignoring missing topic")
        return True


def lose_first_questions() -> None:
    """As when the broker is away between a worker's connecting and its asking, until it has led its group so."""
    ask = AIOKafkaClient._metadata_update
    said = Said()
    partition_assignor.logger.addFilter(said)

    async def update(self: Any, cluster: Any, topics: Any) -> bool:
        is_of_the_group = self._client_id.startswith("faust")  # Other clients check the topics before it starts.
        if is_of_the_group and INPUTS & set(topics) and not said.yet:
            return False
        return bool(await ask(self, cluster, topics))

    AIOKafkaClient._metadata_update = update


if __name__ == "__main__":
    lose_first_questions()
    main(prog_name="python -m meter")

"""`python -m tests.integration.blind worker`: a meter worker whose first questions about its topics are lost."""

import time
from typing import Any, Final

from aiokafka.client import AIOKafkaClient

from meter.cli.main import main
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS

LOST_S: Final = 8.0
"""Long enough to join the group and to lead it, also on a machine that is busy."""


def lose_first_questions() -> None:
    """As when the broker is away between a worker's connecting and its asking."""
    ask = AIOKafkaClient._metadata_update
    first_at: dict[AIOKafkaClient, float] = {}

    async def update(self: Any, cluster: Any, topics: Any) -> bool:
        if set(topics) >= {ACCOUNT_COMMANDS.name, CHAT_EVENTS.name, WALLET_INPUTS.name}:
            now = time.monotonic()
            if now - first_at.setdefault(self, now) < LOST_S:
                return False
        return bool(await ask(self, cluster, topics))

    AIOKafkaClient._metadata_update = update


if __name__ == "__main__":
    lose_first_questions()
    main(prog_name="python -m meter")

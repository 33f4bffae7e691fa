"""The meter with both stages in one process: wallets are charged as well, on the same core.

Its updates go to the topic `ledger`; the aggregator, which writes them to ClickHouse, does not run. The run ends when
the wallets have taken everything that the sessionizer told them.
"""

import sys

from tests.bench.contenders.meter import run
from tests.bench.task import given

if __name__ == "__main__":
    run(given(sys.argv[1]), "sessionize,charge")

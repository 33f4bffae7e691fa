"""A partition of wallets hears of one partition of chat events, the one with its own number."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.wallets import Wallets
from meter.sessionizer.sessionizer import Sessionizer
from schemas.instants import DAY_MS
from schemas.metered import SafePoint, decode_wallet_input
from schemas.topics import WALLET_INPUTS
from tests.oracle.build import STANDARD, T0
from tests.sessionizer_engines import chosen
from tests.unit.wallet_harness import WalletHarness


def test_a_safe_point_goes_to_the_partition_of_its_own_number() -> None:
    """So their number grows with the partitions, and not with the square of it."""
    sessionizer = Sessionizer(Policy(), 3, chosen(), 4)
    sessionizer.finish(None, -1)
    (output,) = sessionizer.confirm(0)
    assert (output.topic, output.partition) == (WALLET_INPUTS, 3)


def test_another_partition_s_time_lapses_nothing() -> None:
    """What names another partition is refused and changes nothing."""
    wallet = WalletHarness(STANDARD)
    wallet.command("grant.assigned", grant_id="g", amount_micros=5)
    point = SafePoint(origin_partition=1, origin_offset=10**9, watermark_ms=T0 + 1000 * DAY_MS)
    assert wallet.tell(point) == []
    assert wallet.refused is not None
    assert wallet.refused.code == "wrong_partition"
    assert wallet.balance.free_micros == 5
    assert wallet.wallets.source.watermark_ms == 0


def test_a_metered_update_of_another_partition_is_refused() -> None:
    """A workspace that only it names does not begin."""
    wallets = Wallets(Policy(), 2)
    update = (
        b'{"type":"meter.occurrence","workspace_id":"w","bot_id":"b","channel":"c","channel_user_id":"u",'
        b'"origin_partition":0,"origin_offset":1,"produced_ms":0,"kind":"alert","unit_id":"n","at_ms":0}'
    )
    refused = wallets.step(decode_wallet_input(update))
    assert isinstance(refused, Rejected)
    assert refused.code == "wrong_partition"
    assert wallets.books == {}

"""The progress of the wallets in charging what was held under a policy."""

import msgspec


class Held(msgspec.Struct, array_like=True):
    """The progress of charging what was held, in slices (`provisioning.py`). Part of the mark of a checkpoint.

    `until` is the wallet-inputs offset of the newest policy that orders it, -1 before the first: what was held before
    that offset has to be charged. `slice` is the number of the last slice that was ordered; it never goes back.
    `is_due`: it is not done yet. `after`: the next slice is ordered when this workspace has been charged; "" if it
    waits for none.
    """

    until: int = -1
    slice: int = 0
    is_due: bool = False
    after: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether a slice is still to come."""
        return self.is_due or self.after != ""

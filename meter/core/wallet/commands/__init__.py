"""The account commands: the effect of each on a wallet, and the reasons to refuse it."""

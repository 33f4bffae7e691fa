"""The rules of metering and charging, as pure code: no input or output, no clock, no Faust.

The two folds are `sessions.sessionize.Sessions` and `wallet.wallets.Wallets`. Each changes its state by one input at a
time.
"""

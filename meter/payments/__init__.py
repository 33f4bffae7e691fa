"""Payments: requests that the wallets wrote go to a payment gateway, and its answers come back as commands."""

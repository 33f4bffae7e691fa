"""The second stage: it charges metered conversations to wallets."""

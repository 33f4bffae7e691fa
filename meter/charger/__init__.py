"""The second stage: it charges metered conversations and occurrences to wallets."""

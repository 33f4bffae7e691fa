"""The meter: turns chat events and account commands into charges, and writes them to the ledger."""

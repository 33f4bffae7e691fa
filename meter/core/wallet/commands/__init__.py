"""Account commands and what each one does to a wallet."""

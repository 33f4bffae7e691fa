"""The rules that charge conversations to the wallets of workspaces."""

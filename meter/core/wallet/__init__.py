"""Rules that charge conversations to a workspace's wallet."""

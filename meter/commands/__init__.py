"""The stage for account commands from outside the product: it checks them and moves them to wallet-inputs."""

"""The gateway: events, commands and entitlements over HTTP."""

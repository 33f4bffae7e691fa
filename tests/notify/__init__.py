"""Mails and webhooks: what is sent, tried again, written down, and not sent twice."""

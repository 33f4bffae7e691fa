"""The first stage: it turns chat events into metered conversations."""

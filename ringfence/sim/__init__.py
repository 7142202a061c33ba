"""Scenarios on a local chain: a price path, agents who act on it, and what the chain says of it."""

"""What the keeper's work costs: comparison, tick, batch, memory, and 5,000 positions at once."""

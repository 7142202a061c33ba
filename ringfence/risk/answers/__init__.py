"""What lenders, traders and those who choose parameters ask."""

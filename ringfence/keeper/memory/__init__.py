"""What a keeper remembers: events, the store that they rebuild, the book of riskiness over it."""

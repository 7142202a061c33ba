"""How fast the risk engine is, beside what memory allows."""

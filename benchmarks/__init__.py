"""What things cost: committed figures, and what prints them."""

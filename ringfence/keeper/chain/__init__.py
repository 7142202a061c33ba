"""What a keeper knows of the chain: nodes, heads, and what they say."""

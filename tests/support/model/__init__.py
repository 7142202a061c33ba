"""The vault and its mirror side by side: the same actions on both, compared to the last bit."""

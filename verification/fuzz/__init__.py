"""Differential fuzzing: the vault, its mirror and two virtual machines, held to one another."""

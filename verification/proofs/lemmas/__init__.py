"""Lemmas over mathematical integers, each about the mirror's own code and proved by z3."""

"""Proofs: of the compiled bytecode, and of the mirror over mathematical integers."""

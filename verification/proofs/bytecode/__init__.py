"""Proofs that run the compiled bytecode on unknown words."""

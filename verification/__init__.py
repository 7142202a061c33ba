"""What holds the contracts to their invariants beyond the tests: fuzzing, proofs, mutants."""

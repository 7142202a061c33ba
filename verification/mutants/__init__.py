"""Mutants: the contracts with one small fault each, and whether the tests notice.

`edits` draws up the faults from the compiler's own syntax trees, `targets` says which contract and
which tests each source belongs to, `build` compiles a mutant from memory, `suite` tries the tests
on it in a forked process, `run` draws a stratified sample and goes through it, `verdict` counts.
"""

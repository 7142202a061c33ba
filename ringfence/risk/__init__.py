"""Prices many futures of a market by the contract's own rules, at memory speed."""

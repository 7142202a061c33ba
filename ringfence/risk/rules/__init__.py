"""The contract's rules on arrays: triggers, books, and what a liquidation moves."""

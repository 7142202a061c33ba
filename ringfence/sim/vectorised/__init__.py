"""A scenario on the vectorised engine, and beside the bytecode."""

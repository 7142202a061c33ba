"""What a keeper does about a position that is due: plan, simulate, sign, send."""

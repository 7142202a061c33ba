"""Who acts in a scenario: traders, lenders, keepers, attackers."""

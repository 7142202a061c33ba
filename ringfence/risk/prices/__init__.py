"""Price paths: models, stress days, what was, and what fits it."""

"""How a keeper shows that it is alive: health, metrics, alerts."""

"""The figures of a market's risk: pure functions of results. They need the extra `report`."""

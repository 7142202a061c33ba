"""The report on a market's risk: figures as pure functions of results, and the page they stand on.

It needs the extra `report`.
"""

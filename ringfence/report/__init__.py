"""Reports: the page that every command's report stands on, and the figures' parts.

Figures of the risk engine are in `ringfence.risk.report`, those of runs on a chain in
`ringfence.sim.plots`; both are plain data. It needs the extra `report`.
"""

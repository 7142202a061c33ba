"""The keeper: finds positions past their limit and liquidates them through the Liquidator.

`chain` is what it knows of nodes and heads, `memory` what it remembers of positions, `engine` says
what is due at a block, `act` plans, runs and sends, `watch` shows that it is alive; `service` puts
them together for one head, `assemble` from plain settings, `run` for all heads to come. It needs
the extra `keeper`.
"""

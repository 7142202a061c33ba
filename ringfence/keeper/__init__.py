"""The keeper: finds positions past their limit and liquidates them through the Liquidator.

`discover` reads the chain, `decide` is pure, `executor` alone signs and sends; `Keeper` puts the
three together. It holds no state that the chain does not: stop it and start it at will. `follow`,
over `engine` and what that is made of, finds what is due by a store; it needs the extra `keeper`.
"""

from ringfence.keeper.decide import Action, Candidate, MarketState, Policy, Target, decide
from ringfence.keeper.discover import Discovery, LogDiscovery, LogSource
from ringfence.keeper.executor import Executor, Outcome
from ringfence.keeper.keeper import Keeper, Round

__all__ = [
    "Action",
    "Candidate",
    "Discovery",
    "Executor",
    "Keeper",
    "LogDiscovery",
    "LogSource",
    "MarketState",
    "Outcome",
    "Policy",
    "Round",
    "Target",
    "decide",
]

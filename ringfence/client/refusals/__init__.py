"""One exception for each reason that the contracts revert with.

`refusal("debt cap is full", value="1,200 USDC", limit="1,000 USDC")` makes the exception that says
what was refused, what the limit is and what to do next. Mirrors the reasons in contracts/: each
module here enters those of one place there into the table.
"""

from ringfence.client.refusals import factory, oracles, periphery, vault
from ringfence.client.refusals.base import REFUSALS, RefusedError, UnknownRefusalError, refusal

__all__ = [
    "REFUSALS",
    "RefusedError",
    "UnknownRefusalError",
    "factory",
    "oracles",
    "periphery",
    "refusal",
    "vault",
]

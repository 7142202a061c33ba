"""What the tests of the doubles share."""

from collections.abc import Callable

from ringfence.evm import Contract

DeployToken = Callable[..., Contract]
"""(stem, decimals, *more constructor arguments) -> a token that the trader holds SUPPLY of."""

SUPPLY = 1_000_000

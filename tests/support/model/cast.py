"""Who takes part in a market, and the moods of an episode."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringfence.math.fixed_point import MAX_UINT256
from tests.support.model.pair import account_number
from tests.support.model.twin import Twin

DAY = 86_400
PLENTY = 2**140
EDGES = (0, 1, 2**104 - 1, 2**104, 2**112 - 1, 2**112, 2**113 - 1, 2**113, 2**128, MAX_UINT256)
SALTS = (0, 7, 2**96 - 1)
POOR = 10**7

CALM, VOLATILE, WIDE, CRASH = "calm", "volatile", "wide", "crash"
MOODS = (CALM, VOLATILE, WIDE, CRASH)
"""How an episode goes; in WIDE amounts reach their widths, CRASH ends in a near-total loss."""


@dataclass(slots=True)
class Cast:
    """Who takes part, as integers."""

    lenders: tuple[int, ...]
    owners: tuple[int, ...]
    operators: tuple[int, ...]
    liquidators: tuple[int, ...]
    stranger: int
    contract_trader: int
    wallet: int
    keys: dict[int, bytes] = field(repr=False)

    @classmethod
    def of(cls, twin: Twin) -> Cast:
        people = [account_number(one) for one in twin.signers]
        contract_trader = account_number(twin.contract_trader)
        wallet = account_number(twin.wallet)
        keys = {people[n]: twin.signers[n].key for n in range(1, 10)}
        keys[wallet] = twin.signers[0].key
        return cls(
            lenders=(people[1], people[2], contract_trader),
            owners=(people[3], people[4], contract_trader, wallet),
            operators=(people[5], people[3]),
            liquidators=(people[6], people[5], contract_trader),
            stranger=people[7],
            contract_trader=contract_trader,
            wallet=wallet,
            keys=keys,
        )

    @property
    def everyone(self) -> tuple[int, ...]:
        named = {*self.lenders, *self.owners, *self.operators, *self.liquidators, self.stranger}
        return tuple(sorted(named | set(self.keys)))

"""A market as the engines see it: the contract's parameters, and the one price that moves.

One feed's answer moves, the others stand still. The contract's price is a monotone function of that
answer, so that whatever holds of a position at a price holds of it at an answer, exactly; and
answers are small integers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.deploy.market import Market
from ringfence.deploy.units import to_wad
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import RiskParams
from ringfence.math.oracles import price_down, scale_factor

FEED_DECIMALS = 8
"""Of a feed's answers, in the currency that both tokens are quoted in."""


@dataclass(frozen=True, slots=True)
class RiskMarket:
    """One market. LTVs, shares and bonus scaled 1e18, in `risk` too; tokens by their decimals.

    `falls` says that the collateral's feed is what moves, so that a position is worse off when the
    answer falls: a long. In a short the asset's feed moves, and positions are worse off when it
    rises. The other feed stands at `still`, scaled like the answers.
    """

    id: str
    initial_ltv: int
    risk: RiskParams
    collateral_decimals: int
    asset_decimals: int
    falls: bool = True
    still: int = 10**FEED_DECIMALS

    @classmethod
    def of(cls, market: Market, decimals: dict[str, int], *, falls: bool) -> RiskMarket:
        """Return a market file's market; `decimals` by the tokens' symbols, KeyError without."""
        file = market.file
        collateral, asset = decimals[file.collateral], decimals[file.asset]
        risk = RiskParams(
            liquidation_ltv=to_wad(file.risk.liquidation_ltv),
            target_ltv=to_wad(file.risk.target_ltv),
            base_bonus=to_wad(file.risk.base_bonus),
            beta_max=to_wad(file.risk.beta_max),
            reserve_cut=to_wad(file.reserve.cut),
            min_debt=int(file.risk.min_debt.scaleb(asset)),
        )
        return cls(market.id, to_wad(file.risk.initial_ltv), risk, collateral, asset, falls)

    def price(self, answer: int) -> int:
        """Return the contract's price at an answer above zero: asset per collateral unit, 1e36."""
        base, quote = (answer, self.still) if self.falls else (self.still, answer)
        scale = scale_factor(
            self.asset_decimals + FEED_DECIMALS, self.collateral_decimals + FEED_DECIMALS
        )
        return price_down(scale, base, quote)

    def worth(self, collateral: int, answer: int) -> float:
        """Return what collateral units are worth, whole assets."""
        return collateral * self.price(answer) / PRICE_SCALE / float(10**self.asset_decimals)

    @property
    def liquidation_ltv(self) -> float:
        """The liquidation LTV as a part of one."""
        return self.risk.liquidation_ltv / WAD

"""The scenario file: one TOML says what the market does, who is there, and how they behave.

Times are in hours from the start of the path, prices in USDC per WETH, amounts in whole tokens,
shares and LTVs as parts of one. Which market files it runs on is the scenario's to say.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ringfence.deploy.files import Number, Table, read, refuse
from ringfence.sim.price_path import HOUR, PricePath, draw_path

Outcome = Literal[
    "enough_accounts",
    "enough_positions",
    "several_positions_per_account",
    "leverage_up_to_the_most",
    "longs_and_shorts",
    "keeper_stood_still",
    "top_up_saved",
    "top_up_in_vain",
    "partial_liquidation",
    "full_liquidation",
    "loss_absorbed_by_reserve",
    "loss_reached_lenders",
    "short_closed_in_profit",
    "short_liquidated_in_rebound",
    "account_lost_one_kept_others",
]
"""The outcomes that `ringfence.sim.checks` can decide."""


class PathTable(Table):
    """The price: waypoints of (hour, price), `noise` a step's standard deviation between them."""

    step_seconds: Annotated[int, Field(gt=0)]
    noise: Number
    crash_end: Number
    waypoints: Annotated[tuple[tuple[Number, Number], ...], Field(min_length=2)]

    def draw(self, seed: int) -> PricePath:
        """Return the path for a seed; raise PathError where the waypoints make none."""
        return draw_path(
            [(seconds(hour), float(price)) for hour, price in self.waypoints],
            step=self.step_seconds,
            noise=float(self.noise),
            seed=seed,
        )


class FeedTable(Table):
    """When the feed is updated: at a deviation, and after so many seconds at the latest."""

    deviation: Number
    heartbeat: Annotated[int, Field(gt=0)]


class PoolTable(Table):
    """The pool: its fee in 1e-6, and the WETH in it; as much USDC by value, over all prices."""

    fee: Literal[100, 500, 3_000, 10_000]
    weth: Number


class KeeperTable(Table):
    """The keeper's policy, ether and gwei, and the spans of hours in which it stands still."""

    gas_price_gwei: Number
    min_profit: Number
    max_loss: Number
    off: tuple[tuple[Number, Number], ...] = ()


class LenderTable(Table):
    """One lender's deposit."""

    account: str
    amount: Number


class MarketTable(Table):
    """A market file's id, who funds it, and a gift to its reserve."""

    id: str
    lenders: tuple[LenderTable, ...]
    reserve_gift: Number = Decimal(0)


class TopUp(Table):
    """Add collateral when the LTV passes a bound, up to `times` times."""

    do: Literal["top up"]
    above_ltv: Number
    amount: Number
    times: Annotated[int, Field(ge=1)] = 1


class Delever(Table):
    """Sell a share of the collateral to repay debt when the LTV passes a bound."""

    do: Literal["delever"]
    above_ltv: Number
    share: Annotated[Number, Field(gt=0, lt=1)]
    times: Annotated[int, Field(ge=1)] = 1


class Close(Table):
    """Close when the feed's price is at or past a bound."""

    do: Literal["close"]
    at_or_below: Number | None = None
    at_or_above: Number | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.at_or_below is None) == (self.at_or_above is None):
            raise refuse("close needs one of at_or_below and at_or_above; give one")
        return self


Rule = Annotated[TopUp | Delever | Close, Field(discriminator="do")]


class PositionTable(Table):
    """A position to open: `margin` in collateral, `leverage` of "max" as far as the market lets."""

    account: str
    market: str
    at: Number
    margin: Number
    leverage: Number | Literal["max"]
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.leverage != "max" and self.leverage <= 1:
            raise refuse(f"leverage is {self.leverage} (limit: above 1); raise it")
        return self


class Scenario(Table):
    """All of one scenario file; `expect` names the outcomes that it is written to show."""

    title: str
    seed: int
    expect: tuple[Outcome, ...] = ()
    path: PathTable
    feed: FeedTable
    pool: PoolTable
    keeper: KeeperTable
    markets: tuple[MarketTable, ...]
    positions: tuple[PositionTable, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = [market.id for market in self.markets]
        for position in self.positions:
            if position.market not in known:
                raise refuse(
                    f"a position names market {position.market}, which is not among the "
                    f"scenario's ({', '.join(known)}); add it or name another"
                )
        return self


def seconds(hours: Decimal) -> int:
    """Return hours as whole seconds.

    >>> seconds(Decimal("30.5"))
    109800
    """
    return round(hours * HOUR)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; raise FileError with every problem found."""
    return read(path, Scenario)

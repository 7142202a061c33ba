"""The scenario file: one TOML says what the market does, who is there, and how they behave.

Times are in hours from the start of the path, prices in USDC per WETH, amounts in whole tokens,
shares and LTVs as parts of one. Which market files it runs on is the scenario's to say.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ringfence.deploy.errors import FileError
from ringfence.deploy.files import Number, Table, read, refuse
from ringfence.risk.prices.waypoints import HOUR, PathError, PricePath, draw_path

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


def _above_one(leverage: Decimal | str) -> Decimal | str:
    if isinstance(leverage, Decimal) and leverage <= 1:
        raise refuse(f"is {leverage} (limit: above 1); raise it")
    return leverage


Leverage = Annotated[Number | Literal["max"], AfterValidator(_above_one)]
"""A leverage above 1, or "max": as far as the market lets."""


class PathTable(Table):
    """The price, from one of three: waypoints of (hour, price), a price model, a CSV file.

    Between waypoints `noise` is a step's standard deviation. A `model` is spelled as on a command
    line ("student-t", "gbm:volatility=0.9"), starts at `first` and lasts so many `hours`. A `csv`
    has columns time and price, is named as seen from the scenario file, and spaced as the steps.
    """

    step_seconds: Annotated[int, Field(gt=0)]
    noise: Number = Decimal(0)
    crash_end: Number = Decimal(0)
    waypoints: tuple[tuple[Number, Number], ...] = ()
    model: str | None = None
    first: Annotated[Number, Field(gt=0)] | None = None
    hours: Annotated[Number, Field(gt=0)] | None = None
    csv: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        ways = [bool(self.waypoints), self.model is not None, self.csv is not None]
        if sum(ways) != 1:
            raise refuse("path needs one of waypoints, model and csv; give one")
        if self.waypoints and len(self.waypoints) < 2:
            raise refuse("path.waypoints has one waypoint (limit: 2 or more); add another")
        if self.model is not None and self.model.strip().startswith(("csv:", "bootstrap:")):
            raise refuse(
                f"path.model is {self.model!r}, a file that a scenario's hash leaves out; name a "
                "law without one, or the file as path.csv"
            )
        drawn = [self.first is not None, self.hours is not None]
        if drawn != [self.model is not None] * 2:
            raise refuse("path.first and path.hours go with a model, both; add or remove them")
        return self

    def draw(self, seed: int) -> PricePath:
        """Return the path for a seed.

        Raises PathError where the waypoints make none, RiskError for a model that nobody knows or
        a CSV file that cannot be used.
        """
        if self.waypoints:
            return draw_path(
                [(seconds(hour), float(price)) for hour, price in self.waypoints],
                step=self.step_seconds,
                noise=float(self.noise),
                seed=seed,
            )
        return PricePath(self.step_seconds, self._read(self.csv) if self.csv else self._model(seed))

    def first_price(self) -> Decimal:
        """Return the price that the path begins with, as a feed of 8 decimals says it."""
        if self.waypoints:
            return self.waypoints[0][1]
        return Decimal(round(self._first() * 10**8)).scaleb(-8)

    def _first(self) -> float:
        return self._read(self.csv)[0] if self.csv else float(self.first or 0)

    def _model(self, seed: int) -> tuple[float, ...]:
        # These take a second to import, which a path of waypoints need not wait for.
        from numpy.random import SeedSequence, default_rng

        from ringfence.risk.prices.models import parse_model

        steps = seconds(self.hours or Decimal(0)) // self.step_seconds
        rng = default_rng(SeedSequence(seed))
        drawn = parse_model(self.model or "").draw(rng, 1, steps, self.step_seconds)
        return tuple((drawn[0] * self._first()).tolist())

    def _read(self, csv: Path) -> tuple[float, ...]:
        from ringfence.risk.prices.csv_prices import read_prices

        read = read_prices(csv)
        if read.step_seconds != self.step_seconds:
            raise PathError(
                f"{csv} has a price every {read.step_seconds} s, the path a step every "
                f"{self.step_seconds}; set path.step_seconds to that"
            )
        return tuple(read.prices.tolist())


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


class NamedKeeper(KeeperTable):
    """A further keeper; what it sends lands `latency` steps after it was decided."""

    account: str
    latency: Annotated[int, Field(ge=0)] = 0


class LenderRule(Table):
    """When a lender acts: at an hour, or once utilisation passes a bound, up to `times` times."""

    do: str
    at: Number | None = None
    above_utilisation: Number | None = None
    times: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.at is None) == (self.above_utilisation is None):
            raise refuse(f"{self.do} needs one of at and above_utilisation; give one")
        if self.at is not None and self.times != 1:
            raise refuse(f"{self.do} at an hour has times = {self.times} (limit 1); remove it")
        return self


class Deposit(LenderRule):
    """Lend so many whole assets more."""

    do: Literal["deposit"]
    amount: Number


class Withdraw(LenderRule):
    """Withdraw a share of what is lent, as far as there is cash."""

    do: Literal["withdraw"]
    share: Annotated[Number, Field(gt=0, le=1)]


class LenderTable(Table):
    """One lender's deposit, and what it does later."""

    account: str
    amount: Number
    rules: tuple[Annotated[Deposit | Withdraw, Field(discriminator="do")], ...] = ()


class SelfLiquidation(Table):
    """Open a position and liquidate it oneself, before any keeper, for the bonus."""

    attack: Literal["self-liquidation"]
    account: str
    market: str
    at: Number = Decimal(0)
    margin: Number
    leverage: Leverage = "max"


class OracleLag(Table):
    """Borrow all that the feed's old answer allows, between the market's move and the next answer.

    With a `stake` of assets it buys collateral at the pool, once the feed overstates collateral by
    `lag`, a part of what it says; it keeps what it borrows and walks away, or liquidates the
    position itself as soon as it can, before any keeper.
    """

    attack: Literal["oracle lag"]
    account: str
    market: str
    stake: Annotated[Number, Field(gt=0)]
    lag: Number
    then: Literal["walk away", "self-liquidation"] = "walk away"


class ShareInflation(Table):
    """Lend one unit before the lenders do, send the vault a `gift`, and redeem once they are in."""

    attack: Literal["share inflation"]
    account: str
    market: str
    gift: Number


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
    leverage: Leverage
    rules: tuple[Rule, ...] = ()


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
    keepers: tuple[NamedKeeper, ...] = ()
    attackers: tuple[
        Annotated[SelfLiquidation | ShareInflation | OracleLag, Field(discriminator="attack")], ...
    ] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = [market.id for market in self.markets]
        for one in (*self.positions, *self.attackers):
            if one.market not in known:
                kind = "a position" if isinstance(one, PositionTable) else "an attacker"
                raise refuse(
                    f"{kind} names market {one.market}, which is not among the "
                    f"scenario's ({', '.join(known)}); add it or name another"
                )
        return self

    @property
    def only_simulated(self) -> bool:
        """Whether somebody is there whom only `ape run simulate` plays."""
        ruled = any(lender.rules for market in self.markets for lender in market.lenders)
        return bool(self.keepers or self.attackers or ruled)

    def passive(self) -> Scenario:
        """Return it with nobody who acts once the positions are open."""
        quiet = [
            market.model_copy(
                update={
                    "lenders": tuple(
                        lender.model_copy(update={"rules": ()}) for lender in market.lenders
                    )
                }
            )
            for market in self.markets
        ]
        return self.model_copy(
            update={
                "markets": tuple(quiet),
                "positions": tuple(one.model_copy(update={"rules": ()}) for one in self.positions),
                "keepers": (),
                "attackers": (),
            }
        )


def seconds(hours: Decimal) -> int:
    """Return hours as whole seconds.

    >>> seconds(Decimal("30.5"))
    109800
    """
    return round(hours * HOUR)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; raise FileError with every problem found."""
    scenario = read(path, Scenario)
    if scenario.path.csv is None:
        return scenario
    csv = path.parent / scenario.path.csv
    return scenario.model_copy(update={"path": scenario.path.model_copy(update={"csv": csv})})


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a scenario file, followed by its CSV file where it has one: hex.

    Raises FileError when either cannot be read.
    """
    csv = load_scenario(path).path.csv
    digest = sha256(path.read_bytes())
    if csv is not None:
        try:
            digest.update(csv.read_bytes())
        except OSError as error:
            raise FileError(str(csv), [f"cannot be read: {error}"]) from None
    return digest.hexdigest()

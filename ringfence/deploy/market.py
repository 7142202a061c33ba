"""The market file: one TOML a market, every bound of the factory checked before anything is sent.

Amounts are in whole tokens, shares and LTVs as parts of one, rates per year, durations in seconds.
Tokens, feeds and foreign oracles are named; the chain file says what the names mean on a chain, so
that one market file serves them all. Mirrors the checks of contracts/VaultFactory.vy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import isqrt
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ringfence.deploy.errors import FileError
from ringfence.deploy.files import Number, Table, read, refuse
from ringfence.deploy.units import MAX_RATE_PER_YEAR, to_wad
from ringfence.math.fixed_point import WAD

MIN_LTV_GAP = Decimal("0.005")
MAX_BETA = Decimal(2)
MAX_RESERVE_FACTOR = Decimal("0.25")
MAX_TOLERANCE = Decimal("0.5")
MIN_AMOUNT = 10_000
"""The smallest min_debt and the smallest seed, token units."""
MAX_AMOUNT = 2**104 - 1
"""The largest amount that the vault's words hold, token units."""

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def largest_beta_max(liquidation_ltv: Decimal, base_bonus: Decimal) -> Decimal:
    """Return the largest beta_max that never pays for waiting, to 18 places, rounded down.

    The bound is beta_max * (liquidation_ltv + beta_max - 1 - base_bonus) <= 1.

    >>> largest_beta_max(Decimal("0.86"), Decimal("0.01"))
    Decimal('1.077808556006578954')
    """
    offset = to_wad(liquidation_ltv) - WAD - to_wad(base_bonus)
    root = (isqrt(offset * offset + 4 * WAD * WAD) - offset) // 2
    while root * (root + offset) > WAD * WAD:
        root -= 1
    return Decimal(min(root, to_wad(MAX_BETA))).scaleb(-18)


def _check_places(table: Table, names: tuple[str, ...]) -> None:
    for name in names:
        try:
            to_wad(getattr(table, name))
        except ValueError as error:
            raise refuse(f"{name}: {error}") from None


class Risk(Table):
    """What a position may do, and when it is liquidated. LTVs, bonus and beta as parts of one."""

    initial_ltv: Number
    target_ltv: Number
    liquidation_ltv: Number
    base_bonus: Number
    beta_max: Number
    min_debt: Number

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_places(
            self, ("initial_ltv", "target_ltv", "liquidation_ltv", "base_bonus", "beta_max")
        )
        initial, target, liquidation = self.initial_ltv, self.target_ltv, self.liquidation_ltv
        if initial < MIN_LTV_GAP:
            raise refuse(
                f"initial_ltv is {initial} (limit: at least {MIN_LTV_GAP}): nobody could borrow; "
                "raise it"
            )
        if initial > target:
            raise refuse(
                f"initial_ltv is {initial}, above target_ltv (limit {target}): a liquidation would "
                "stop below what may be borrowed; lower it or raise target_ltv"
            )
        if liquidation >= 1:
            raise refuse(
                f"liquidation_ltv is {liquidation} (limit: below 1): a position would be worth "
                "less than its debt before it could be liquidated; lower it"
            )
        if target + MIN_LTV_GAP > liquidation:
            raise refuse(
                f"target_ltv is {target}, less than {MIN_LTV_GAP} below liquidation_ltv (limit "
                f"{liquidation - MIN_LTV_GAP}): a liquidation could not stop in time; lower it or "
                "raise liquidation_ltv"
            )
        self._check_bonus()
        return self

    def _check_bonus(self) -> None:
        if self.beta_max <= 1 + self.base_bonus:
            raise refuse(
                f"beta_max is {self.beta_max}, not above 1 + base_bonus (limit "
                f"{1 + self.base_bonus}): the bonus could not grow with the loss; raise it"
            )
        limit = largest_beta_max(self.liquidation_ltv, self.base_bonus)
        if self.beta_max > limit:
            raise refuse(
                f"beta_max is {self.beta_max} (limit {limit} for this liquidation_ltv and "
                "base_bonus): waiting for insolvency would pay liquidators; lower it"
            )


class Reserve(Table):
    """The reserve's shares: of the liquidation bonus, of interest, and of debt to keep."""

    cut: Number
    factor: Number
    target: Number

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_places(self, ("cut", "factor", "target"))
        for name in ("cut", "target"):
            if getattr(self, name) >= 1:
                raise refuse(f"{name} is {getattr(self, name)} (limit: below 1); lower it")
        if self.factor > MAX_RESERVE_FACTOR:
            raise refuse(
                f"factor is {self.factor} (limit {MAX_RESERVE_FACTOR}): lenders would get too "
                "little of the interest; lower it"
            )
        return self


class Caps(Table):
    """What curator and guardian may change later, whole assets."""

    supply: Number
    debt: Number

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.debt > self.supply:
            raise refuse(
                f"debt is {self.debt}, above supply (limit {self.supply}): what is not lent cannot "
                "be borrowed; lower it"
            )
        return self


class Rate(Table):
    """A KinkedRate, and the rate when it fails. Rates per year; the kink a part of one."""

    kind: Literal["kinked"]
    base: Number
    kink: Number
    slope_1: Number
    slope_2: Number
    fallback: Number

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_places(self, ("kink",))
        if not 0 < self.kink < 1:
            raise refuse(f"kink is {self.kink} (limits: above 0, below 1); set it between them")
        if self.top > MAX_RATE_PER_YEAR:
            raise refuse(
                f"the rate at full utilisation is {self.top} a year (limit {MAX_RATE_PER_YEAR}); "
                "lower base, slope_1 or slope_2"
            )
        if self.fallback > MAX_RATE_PER_YEAR:
            raise refuse(
                f"fallback is {self.fallback} a year (limit {MAX_RATE_PER_YEAR}); lower it"
            )
        return self

    @property
    def top(self) -> Decimal:
        """The rate when everything is lent out, per year."""
        return self.base + self.slope_1 * self.kink + self.slope_2 * (1 - self.kink)


class FeedUse(Table):
    """A feed by its name, and the answers of it that are believed, in the feed's own currency."""

    feed: str
    min: Number
    max: Number

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 < self.min < self.max:
            raise refuse(
                f"min is {self.min}, max {self.max} (limits: above 0, min below max); reorder them"
            )
        return self


Feeds = Annotated[tuple[FeedUse, ...], Field(max_length=2)]


class ChainlinkSource(Table):
    """A ChainlinkOracle: the product of the base feeds over the product of the quote feeds."""

    kind: Literal["chainlink"]
    base: Feeds = ()
    quote: Feeds = ()
    tolerance: Number

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.base and not self.quote:
            raise refuse("names no feed; give base, quote or both")
        _check_tolerance(self.tolerance)
        return self


class MorphoSource(Table):
    """A MorphoOracle around a deployed oracle that has `price()`, named in the chain file."""

    kind: Literal["morpho"]
    source: str
    tolerance: Number

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_tolerance(self.tolerance)
        return self


def _check_tolerance(tolerance: Decimal) -> None:
    if tolerance > MAX_TOLERANCE:
        raise refuse(f"tolerance is {tolerance} (limit {MAX_TOLERANCE}); lower it")


class Seed(Table):
    """What the creator hands the factory: the asset stays as reserve, the collateral comes back."""

    asset: Number
    collateral: Number


class MarketFile(Table):
    """All of one market file."""

    name: Annotated[str, Field(min_length=1)]
    symbol: Annotated[str, Field(min_length=1)]
    collateral: str
    asset: str
    risk: Risk
    reserve: Reserve
    caps: Caps
    rate: Rate
    oracle: Annotated[ChainlinkSource | MorphoSource, Field(discriminator="kind")]
    seed: Seed

    @model_validator(mode="after")
    def _check(self) -> Self:
        for field, limit in (("name", 50), ("symbol", 32)):
            length = len(getattr(self, field).encode())
            if length > limit:
                raise refuse(f"{field} has {length} bytes (limit {limit}); shorten it")
        if self.collateral == self.asset:
            raise refuse(f"collateral and asset are both {self.asset}; a market needs two tokens")
        return self


@dataclass(frozen=True, slots=True)
class Market:
    """A market file with the id that its file name gives it."""

    id: str
    file: MarketFile


def load_market(path: Path) -> Market:
    """Read a market file; its id is the file's name without the suffix.

    Raises FileError with every problem found.
    """
    if not _ID.fullmatch(path.stem):
        raise FileError(
            str(path),
            [f"{path.stem!r} is no market id; name the file in lower case with hyphens"],
        )
    return Market(path.stem, read(path, MarketFile))

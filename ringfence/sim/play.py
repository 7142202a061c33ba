"""Playing a scenario on its stage: in each step arbitrageur, feed, traders, keeper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Protocol, assert_never

from ringfence.math.uniswap import sqrt_price
from ringfence.risk.prices.waypoints import PricePath
from ringfence.sim import feed
from ringfence.sim.agents.trader import Trader, View
from ringfence.sim.result import Step
from ringfence.sim.scenario import Close, Delever, PositionTable, Scenario, TopUp, seconds
from ringfence.sim.stage import NEVER, Stage, Venue, account_of

Progress = Callable[[int, int, str], None]
"""Called after each step with its number, how many there are, and what to say."""

Attempt = Callable[[str, str, Venue, Callable[[], None]], bool]
"""Does what an account does in a vault, said in a few words, and returns whether it was done."""

ARBITRAGEUR = "arbitrageur"
_DOLLAR_HEARTBEAT = 86_400
_BUDGET = 2**127
"""More than the arbitrageur has: the price's limit stops the trade."""


class Keeper(Protocol):
    """Whoever liquidates in a play."""

    def act(self) -> int:
        """Liquidate what pays; return how many were."""
        ...


def _at_once(_who: str, _what: str, _venue: Venue, do: Callable[[], None]) -> bool:
    do()
    return True


@dataclass(slots=True)
class Held:
    """A position of the scenario that has been opened."""

    table: PositionTable
    venue: Venue
    owner: str
    position_id: int
    trader: Trader
    gone: bool = False


@dataclass(slots=True)
class Play:
    """A scenario under way; `steps` and what is kept by market and position id fill up.

    `ltvs` has one entry a step, `liquidatable` the steps at which a position was so before its
    owner acted. What traders do goes through `attempt`.
    """

    stage: Stage
    scenario: Scenario
    path: PricePath
    keeper: Keeper
    start: int
    held: list[Held] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    ltvs: dict[tuple[str, int], list[float | None]] = field(default_factory=dict)
    liquidatable: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    liquidations: int = 0
    attempt: Attempt = _at_once
    _dollar_time: int = 0
    _ether_time: int = 0
    _ether_price: Fraction = Fraction(0)

    def run(self, progress: Progress) -> None:
        """Play every step; raise Reverted when a trader's transaction fails."""
        for index in range(len(self.path.prices)):
            self.play_step(index)
            progress(index + 1, len(self.path.prices), f"{self.liquidations} liquidations")

    def play_step(self, index: int) -> None:
        """Play one step: everything of it happens at one time."""
        time = index * self.path.step
        self.update_feeds(self.move_pool(index))
        self.open_positions(time)
        self.let_traders_act(index)
        keeper_on = not any(since <= time < until for since, until in self.keeper_off())
        if keeper_on:
            self.liquidations += self.keeper.act()
        self.steps.append(
            Step(
                time=time,
                market=self.path.prices[index],
                feed=float(self.stage.feed_price()),
                pool=float(self.stage.pool_price()),
                keeper_on=keeper_on,
                answer=int(self.stage.ether_feed.latestAnswer()),
            )
        )

    def move_pool(self, index: int) -> Fraction:
        """Bring time and pool to a step; return the market's price, which the feeds have not said.

        In USDC per WETH.
        """
        market = Fraction(self.path.prices[index])
        self.stage.engine.set_next_timestamp(self.start + index * self.path.step)
        self.arbitrage(market)
        return market

    def keeper_off(self) -> tuple[tuple[int, int], ...]:
        """Return the spans in which the keeper stands still, seconds."""
        return tuple((seconds(a), seconds(b)) for a, b in self.scenario.keeper.off)

    def update_feeds(self, market: Fraction) -> None:
        """Update the feeds that have deviated or are due."""
        now = self.stage.engine.timestamp
        elapsed = now - self._ether_time
        if feed.is_due(self.scenario.feed, market, self._ether_price, elapsed):
            self.stage.ether_feed.updateAnswer(feed.answer(market))
            self._ether_price, self._ether_time = market, now
        if now - self._dollar_time >= _DOLLAR_HEARTBEAT:
            self.stage.dollar_feed.updateAnswer(feed.SCALE)
            self._dollar_time = now

    def arbitrage(self, market: Fraction) -> None:
        """Trade the pool back to where its fee leaves nothing to gain, if it is further off."""
        stage, pool = self.stage, self.stage.pool
        fee = Fraction(pool.fee, 10**6)
        root = pool.sqrt_price
        now = pool.price_at(root, stage.weth) * 10**12
        if market * (1 - fee) <= now <= market / (1 - fee):
            return
        target = market / (1 - fee) if now > market else market * (1 - fee)
        sold, bought = (stage.weth, stage.usdc) if now > market else (stage.usdc, stage.weth)
        units = target / 10**12 if pool.token_0 is stage.weth else 10**12 / target
        limit = sqrt_price(units.denominator, units.numerator)
        if limit == root:
            # It stands where the last trade's limit was rounded to.
            return
        order = (sold, bought, pool.fee, account_of(ARBITRAGEUR), NEVER, _BUDGET, 0, limit)
        stage.uniswap.router.exactInputSingle.transact(order, sender=account_of(ARBITRAGEUR))

    def open_positions(self, time: int) -> None:
        """Open the positions whose time has come."""
        for number, table in enumerate(self.scenario.positions):
            if seconds(table.at) // self.path.step != time // self.path.step:
                continue
            venue, owner = self.stage.venues[table.market], account_of(table.account)
            leverage = None if table.leverage == "max" else table.leverage
            opening = partial(self.stage.open, venue, owner, number, table.margin, leverage)
            if not self.attempt(table.account, "open", venue, opening):
                continue
            position_id = int(owner, 16) << 96 | number
            self.held.append(Held(table, venue, owner, position_id, Trader(table.rules)))

    def let_traders_act(self, index: int) -> None:
        """Show every trader the positions, and do what they want."""
        price = self.stage.feed_price() if self.held else Fraction(0)
        for venue in self.stage.venues.values():
            held = [one for one in self.held if one.venue is venue and not one.gone]
            if not held:
                continue
            views = self.stage.lens.positions(venue.vault, [one.position_id for one in held])
            for one, view in zip(held, views, strict=True):
                one.gone = view.collateral == 0
                self._record(one, index, view.collateral, view.ltv)
                if view.liquidatable:
                    self.liquidatable.setdefault((venue.id, one.position_id), []).append(index)
                order = one.trader.decide(View(view.collateral, view.debt, view.ltv), price)
                if order is not None:
                    obeying = partial(self._obey, one, order.what)
                    self.attempt(one.table.account, order.what.do, venue, obeying)

    def _record(self, one: Held, index: int, collateral: int, ltv: int) -> None:
        series = self.ltvs.setdefault((one.venue.id, one.position_id), [])
        series += [None] * (index - len(series))
        series.append(ltv / 10**18 if collateral else None)

    def _obey(self, one: Held, what: TopUp | Delever | Close) -> None:
        place = one.venue, one.owner, one.position_id
        if isinstance(what, TopUp):
            self.stage.top_up(*place, what.amount)
        elif isinstance(what, Delever):
            self.stage.delever(*place, what.share)
        elif isinstance(what, Close):
            self.stage.close(*place)
        else:
            assert_never(what)


def fund_arbitrageur(stage: Stage, scenario: Scenario) -> None:
    """Give the arbitrageur what moving the pool to any price of the path may take."""
    account = account_of(ARBITRAGEUR)
    weth = int(scenario.pool.weth) * 10**18
    first = Fraction(scenario.path.first_price())
    stage.fund(account, stage.weth, 2 * weth)
    stage.fund(account, stage.usdc, int(2 * first * weth / 10**12))
    for token in (stage.weth, stage.usdc):
        token.approve(stage.uniswap.router, NEVER, sender=account)

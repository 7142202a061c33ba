"""A scenario played by the vectorised engine: integer triggers, the coupled engine's keepers.

From event to event. As long as nobody liquidates, a vault's positions stand still, so that all its
steps are decided at once and exactly (`LeftAlone`). At a step at which some are due, the coupled
engine's keepers do what pays, in floats, and the mirror of the contract does the same in integers
to positions and books: interest and triggers stay exact. All markets share one pool, which the
arbitrageur brings to the band about each step's price. Where the engine's amounts are off from the
mirror's, `furthest` says by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf, sqrt

import numpy as np

from ringfence.keeper.act.policy import GasModel
from ringfence.math import balance_sheet, liquidation
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.health import debt_up, ltv_up, value_down
from ringfence.math.liquidation import Liquidation
from ringfence.math.position_slot import PositionSlot
from ringfence.risk.arrays import Flags, Floats, Integers
from ringfence.risk.coupled import steps as kernel
from ringfence.risk.coupled.engine import SCENARIO
from ringfence.risk.coupled.pool import Place
from ringfence.risk.coupled.steps import Event, World
from ringfence.risk.rules.liquidations import Terms
from ringfence.sim.outcome import Moment, Sold
from ringfence.sim.scenario import Scenario, seconds
from ringfence.sim.vectorised.from_scenario import Opened, OpenedVault

KEEPER = "keeper"
REPAY_ALL = 2**127
_GAS = GasModel().charged(1, 1)
_MANY = 1 << 30


@dataclass(frozen=True, slots=True)
class Rules:
    """What a scenario's keeper wants, wei, gas wei a unit; when it is off, seconds; the step's."""

    step: int
    gas_price: int
    least_profit: int
    most_loss: int
    off: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, scenario: Scenario) -> Rules:
        """Return those of a scenario."""
        keeper = scenario.keeper
        return cls(
            scenario.path.step_seconds,
            int(keeper.gas_price_gwei * 10**9),
            int(keeper.min_profit * 10**18),
            int(keeper.max_loss * 10**18),
            tuple((seconds(a), seconds(b)) for a, b in keeper.off),
        )

    def is_on(self, time: int) -> bool:
        """Return whether the keeper is not standing still at a time, seconds."""
        return not any(start <= time < end for start, end in self.off)


@dataclass(slots=True)
class _Vault:
    """A vault under way; `flags` bool [step, position] hold until somebody liquidates."""

    opened: OpenedVault
    slots: list[PositionSlot]
    sheet: BalanceSheet
    flags: Flags
    sold: list[Sold] = field(default_factory=list)
    liquidatable: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Played:
    """A scenario under way, and at its end; `root` is the pool's, asset USDC for WETH, units.

    prices: USDC per WETH by step; answers: int64 by step. `furthest` is how far an amount was off
    from the mirror's, as a part of what SCENARIO lets it be.
    """

    opened: Opened
    rules: Rules
    prices: Sequence[float]
    answers: Integers
    root: float
    low: float
    times: Sequence[int]
    vaults: dict[str, _Vault] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    furthest: float = 0.0

    @property
    def sold(self) -> list[Sold]:
        """Every liquidation; those of one step vault by vault."""
        all_sold = [one for vault in self.vaults.values() for one in vault.sold]
        return sorted(all_sold, key=lambda one: one.time)

    def take_step(self, step: int) -> None:
        """Move the pool, see what is due, let the keeper act."""
        if step:
            self._arbitrage(self.prices[step])
        due = {name: np.nonzero(one.flags[step])[0].tolist() for name, one in self.vaults.items()}
        for name, places in due.items():
            for place in places:
                self.vaults[name].liquidatable.setdefault(place, []).append(step)
        time = step * self.rules.step
        if any(due.values()) and self.rules.is_on(time):
            self._keep({name: places for name, places in due.items() if places}, step)
        root = self.root if self.opened.weth_first else 1 / self.root
        self.moments.append(
            Moment(
                time=time,
                price=self.prices[step],
                answer=int(self.answers[step]),
                root=int(root * 2**96),
                liquidatable=sum(map(len, due.values())),
            )
        )
        self.low = min(self.low, self.root**2)

    def _arbitrage(self, market: float) -> None:
        """Bring the pool to the nearer end of the band about a price, if it is outside."""
        fair, kept = _in_units(market), 1 - self.opened.pool.fee
        price = self.root**2
        if price > fair / kept:
            self.root = sqrt(fair / kept)
        elif price < fair * kept:
            self.root = sqrt(fair * kept)
        self.low = min(self.low, self.root**2)

    def _keep(self, due: dict[str, list[int]], step: int) -> None:
        """Have the keeper go through what is due, the vault with the riskiest position first."""
        ranked = []
        for name, places in due.items():
            vault = self.vaults[name]
            now = vault.opened.interest.at(vault.sheet, self.times[step])
            price = vault.opened.market.price(int(self.answers[step]))
            ltvs = {place: _ltv(vault.slots[place], now, price) for place in places}
            order = sorted(places, key=lambda one: (-ltvs[one], vault.opened.ids[one]))
            ranked.append((-ltvs[order[0]], name, order, now, price))
        for _ltv_of, name, order, now, price in sorted(ranked, key=lambda one: one[0]):
            self._keep_vault(self.vaults[name], order, now, price, step)

    def _keep_vault(
        self, vault: _Vault, order: list[int], now: BalanceSheet, price: int, step: int
    ) -> None:
        found = self._liquidate(vault, order, now, price)
        vault.sheet = now if len(found) else vault.sheet
        for event in found:
            place = order[int(event[Event.POSITION])]
            self._apply(vault, place, event, price, step)
        if len(found) and step + 1 < len(self.times):
            rest = self.answers[step + 1 :], self.times[step + 1 :]
            alone = vault.opened.left_alone(vault.slots, vault.sheet, *rest)
            vault.flags[step + 1 :] = alone.liquidatable()

    def _liquidate(self, vault: _Vault, order: list[int], now: BalanceSheet, price: int) -> Floats:
        """Return the events [liquidation, Event] of the coupled engine's keepers; move the pool."""
        pool, market = self.opened.pool, vault.opened.market
        terms, at = Terms.of(market.risk), price / PRICE_SCALE
        slots = [vault.slots[place] for place in order]
        collateral = np.array([float(one.collateral) for one in slots])
        debt = np.array([float(debt_up(one.scaled_debt, now.debt_index)) for one in slots])
        # That they are due is decided, in integers.
        key = np.maximum(debt / collateral, np.nextafter(terms.liquidation_ltv * at, inf))
        roots, liquidity, root = pool.roots, pool.liquidity, self.root
        if not market.falls:
            roots, liquidity, root = 1 / roots[::-1], liquidity[::-1].copy(), 1 / root
        events = np.zeros((8 * len(order), len(Event)))
        place, count = kernel.keep_once(
            self._world(market.falls, price),
            terms,
            collateral,
            debt,
            key,
            roots,
            liquidity,
            Place(root, pool.place.range),
            at,
            events,
        )
        self.root = place.root if market.falls else 1 / place.root
        return events[:count]

    def _world(self, falls: bool, price: int) -> World:
        """Return what keepers act in: gas in the asset, as the planner counts it."""
        rules = self.rules
        per_ether = price * WAD // PRICE_SCALE if falls else WAD
        wanted, borne = rules.least_profit, rules.most_loss
        gas = -(-(_GAS * rules.gas_price + wanted) * per_ether // WAD)
        bears = -(-(borne + wanted) * per_ether // WAD) if borne else 0
        return World(
            unit=0.0,
            falls=falls,
            answer=0,
            fee=float(self.opened.pool.fee),
            compounds=False,
            closed=1.0,
            impact=0.0,
            deviation=0.0,
            heartbeat=0,
            max_age=0,
            capacity=_MANY,
            gas=float(gas),
            most_loss=float(bears),
            reserve=0.0,
            out_from=0,
            out_to=0,
            oracle_out=False,
            capacity_out=0,
        )

    def _apply(self, vault: _Vault, place: int, event: Floats, price: int, step: int) -> None:
        """Do to a position and the books what keepers did, exactly; note it as they did it."""
        slot, sheet, opened = vault.slots[place], vault.sheet, vault.opened
        exact = _exact(slot, sheet, price, float(event[Event.REPAID]), opened)
        self.furthest = max(self.furthest, _off(event, exact, price))
        left = slot.collateral - exact.seized, slot.scaled_debt - exact.scaled_retired
        vault.slots[place] = PositionSlot(*left, slot.last_risk_increase)
        paid = replace(
            sheet,
            total_scaled_debt=sheet.total_scaled_debt - exact.scaled_retired,
            cash=sheet.cash + exact.repaid + exact.cut,
        )
        index = balance_sheet.socialise(paid)
        vault.sheet = replace(paid, supply_index=index)
        seized, repaid, cut, loss, bought = (
            round(float(event[one]))
            for one in (Event.SEIZED, Event.REPAID, Event.CUT, Event.LOSS, Event.BOUGHT)
        )
        vault.sold.append(
            Sold(
                time=step * self.rules.step,
                keeper=KEEPER,
                market=opened.market.id,
                position=hex(opened.ids[place]),
                seized=seized,
                repaid=repaid,
                cut=cut,
                loss=loss,
                socialised=balance_sheet.claims_lost_up(paid, index),
                profit=bought - repaid - cut,
                gas=_GAS,
            )
        )


def play(opened: Opened, rules: Rules, prices: Sequence[float], answers: Integers) -> Played:
    """Play an opened scenario along a path: USDC per WETH and the feed's answers, by step."""
    times = [opened.start + index * rules.step for index in range(len(prices))]
    root = opened.pool.place.root
    found = Played(opened, rules, prices, answers, root, root**2, times)
    for name, one in opened.vaults.items():
        alone = one.left_alone(one.slots, one.sheet, answers, times)
        found.vaults[name] = _Vault(one, [*one.slots], one.sheet, alone.liquidatable())
    for step in range(len(prices)):
        found.take_step(step)
    return found


def _in_units(price: float) -> float:
    """Return USDC units per WETH unit at whole USDC per whole WETH."""
    return price * 1e-12


def _ltv(slot: PositionSlot, now: BalanceSheet, price: int) -> int:
    return ltv_up(debt_up(slot.scaled_debt, now.debt_index), value_down(slot.collateral, price))


def _exact(
    slot: PositionSlot, sheet: BalanceSheet, price: int, repaid: float, opened: OpenedVault
) -> Liquidation:
    """Return the contract's liquidation of the size that an engine's was of."""
    risk, index = opened.market.risk, sheet.debt_index
    whole = liquidation.liquidate(slot, index, price, REPAY_ALL, risk)
    if repaid >= whole.repaid * (1 - SCENARIO.relative) - SCENARIO.units:
        return whole
    return liquidation.liquidate(slot, index, price, int(repaid), risk)


def _off(event: Floats, exact: Liquidation, price: int) -> float:
    """Return how far an event's amounts are off, as a part of what SCENARIO lets them be."""
    worth = PRICE_SCALE / price
    pairs = (
        (Event.REPAID, exact.repaid, 1.0),
        (Event.CUT, exact.cut, 1.0),
        (Event.LOSS, exact.loss, 1.0),
        (Event.SEIZED, exact.seized, worth),
    )
    return max(
        abs(float(event[column]) - amount) / SCENARIO.allowed(amount, worth)
        for column, amount, worth in pairs
    )

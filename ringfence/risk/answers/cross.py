"""The same accounts with ring-fenced slots and with one common margin, on the same paths.

Isolated, each slot stands alone, by the contract's rules. Cross, an account's slots back each
other: it is due once its debts together are above the sum of what its slots' LTVs bound; LIQ-4 and
LIQ-5 then hold for the sums, at parameters weighted by collateral value. This is the mildest cross
margin there is: debts are repaid and collateral is taken slot by slot, the slot deepest in trouble
first, and other slots are touched only where that one does not suffice.

At equal leverage both begin with the same collateral and debts, and what an account holds in spare
stays outside. At equal capital the cross account puts its spare in, against its debts, for that is
what a common margin is for; isolated it stays outside and is never at risk. Nobody tops up.
A slot is lost where a liquidation took collateral of it; an other slot, where itself was healthy.

Amounts are float64 in one currency; all of a market's prices move by one relative price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ringfence.risk.answers.loss import LateKeepers, pays
from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.joint import JointPrices
from ringfence.risk.rules.liquidations import Terms, is_insolvent, liquidate
from ringfence.risk.work.jit import njit
from ringfence.risk.work.tasks import Result, Task

KEPT, LOST, OTHER_LOST = range(3)
"""What became of a slot."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Slots, struct of arrays, one entry a slot; the slots of an account are side by side.

    account and market: int64 [slot], accounts 0, 1, ... rising; value and debt: worth of collateral
    and debt at the start; spare: [account], what else each account has.
    """

    account: Integers
    market: Integers
    value: Floats
    debt: Floats
    spare: Floats

    def __post_init__(self) -> None:
        sizes = {one.size for one in (self.account, self.market, self.value, self.debt)}
        if len(sizes) != 1 or not self.account.size:
            raise RiskError(f"slots' columns are {sorted(sizes)} long; pass equal ones, not empty")
        steps = np.diff(self.account)
        if self.account[0] != 0 or ((steps != 0) & (steps != 1)).any():
            raise RiskError("slots are out of order; sort them by account, from 0 without a gap")
        if self.spare.size != self.account[-1] + 1:
            raise RiskError(
                f"spare has {self.spare.size} entries for {self.account[-1] + 1} accounts; "
                "pass one each"
            )

    def funded(self) -> tuple[Accounts, Floats]:
        """Return the accounts with their spare put against their debts, and what is left of it."""
        debts = np.bincount(self.account, self.debt, self.spare.size)
        used = np.minimum(self.spare, debts)
        share = np.divide(used, debts, out=np.zeros_like(used), where=debts > 0)
        left = self.spare - used
        return replace(self, debt=self.debt * (1 - share[self.account]), spare=left), left


@dataclass(frozen=True, slots=True)
class CrossMarket:
    """A market in common terms: its rules, least debt in the one currency, and what moves."""

    terms: Terms
    falls: bool = True


@dataclass(frozen=True, slots=True)
class Margin:
    """What became of slots under one kind of margin.

    state: int8 [path, slot], KEPT, LOST or OTHER_LOST; held and owed: collateral and debt at the
    end, worth at the start, float64 [path, slot]; lender_loss: float64 [path], written off, before
    reserve and cuts; capital: float64 [path], what traders have at the end, with spare.
    """

    state: NDArray[np.int8]
    held: Floats
    owed: Floats
    lender_loss: Floats
    capital: Floats

    @property
    def lost(self) -> Integers:
        """Slots lost, [path]."""
        lost: Integers = (self.state != KEPT).sum(axis=1, dtype=np.int64)
        return lost

    @property
    def other_lost(self) -> Integers:
        """Slots lost though they were healthy themselves, [path]."""
        lost: Integers = (self.state == OTHER_LOST).sum(axis=1, dtype=np.int64)
        return lost


@dataclass(frozen=True, slots=True)
class Comparison:
    """One book on the same paths; isolated is the same at equal leverage and at equal capital."""

    isolated: Margin
    cross_leverage: Margin
    cross_capital: Margin


def compare(
    accounts: Accounts, venues: list[CrossMarket], prices: Floats, keepers: LateKeepers
) -> Comparison:
    """Return both kinds of margin on relative prices, float64 [market, path, step]."""
    funded, left = accounts.funded()
    return Comparison(
        isolated(accounts, venues, prices, keepers),
        _margin(accounts, accounts.account, venues, prices, keepers, float(accounts.spare.sum())),
        _margin(funded, funded.account, venues, prices, keepers, float(left.sum())),
    )


def isolated(
    accounts: Accounts, venues: list[CrossMarket], prices: Floats, keepers: LateKeepers
) -> Margin:
    """Return what becomes of slots that stand alone."""
    alone = np.arange(accounts.account.size)
    return _margin(accounts, alone, venues, prices, keepers, float(accounts.spare.sum()))


def _margin(
    accounts: Accounts,
    groups: Integers,
    venues: list[CrossMarket],
    prices: Floats,
    keepers: LateKeepers,
    outside: float,
) -> Margin:
    if prices.ndim != 3 or len(prices) != len(venues) or not prices.size:
        raise RiskError(
            f"prices are {prices.shape} for {len(venues)} markets; pass [market, path, step]"
        )
    if not 0 <= accounts.market.min() <= accounts.market.max() < len(venues):
        raise RiskError(f"a slot names a market beyond the {len(venues)} given")
    starts = np.flatnonzero(np.diff(groups, prepend=-1, append=groups[-1] + 1))
    state, held, owed, figures = _run(
        starts, accounts.market, accounts.value, accounts.debt,
        np.array([venue.terms for venue in venues]),
        np.array([venue.falls for venue in venues]),
        prices, keepers.delay, keepers.discount,
    )  # fmt: skip
    return Margin(state, held, owed, figures[0], figures[1] + outside)


@njit
def _run(
    starts: Integers,
    market: Integers,
    value: Floats,
    debt: Floats,
    terms: Floats,
    falls: NDArray[np.bool_],
    prices: Floats,
    delay: int,
    discount: float,
) -> tuple[NDArray[np.int8], Floats, Floats, Floats]:
    paths, slots = prices.shape[1], market.size
    state = np.zeros((paths, slots), np.int8)
    held, owed = np.empty((paths, slots)), np.empty((paths, slots))
    figures = np.zeros((2, paths))
    for path in range(paths):
        held[path], owed[path] = value, debt
        for group in range(starts.size - 1):
            part = slice(starts[group], starts[group + 1])
            lost, capital = _follow(
                market[part], held[path, part], owed[path, part], terms, falls,
                prices[:, path], delay, discount, state[path, part],
            )  # fmt: skip
            figures[0, path] += lost
            figures[1, path] += capital
    return state, held, owed, figures


@njit
def _follow(
    market: Integers,
    held: Floats,
    owed: Floats,
    terms: Floats,
    falls: NDArray[np.bool_],
    prices: Floats,
    delay: int,
    discount: float,
    state: NDArray[np.int8],
) -> tuple[float, float]:
    """Take slots that back each other along a path; return lenders' loss and what is left."""
    worth, debt, lost, since = np.empty(held.size), np.empty(held.size), 0.0, -1
    for step in range(prices.shape[1]):
        bound = 0.0
        for slot in range(held.size):
            of = market[slot]
            worth[slot] = held[slot] * (prices[of, step] if falls[of] else 1.0)
            debt[slot] = owed[slot] * (1.0 if falls[of] else prices[of, step])
            bound += worth[slot] * terms[of, 0]
        if debt.sum() <= bound:
            since = -1
            continue
        if since < 0:
            since = step
        common = _common(market, worth, terms)
        if step - since < delay or not pays(worth.sum(), debt.sum(), 1.0, discount, common):
            continue
        moved = liquidate(worth.sum(), debt.sum(), 1.0, np.inf, common)
        lost += moved.loss
        _take(market, worth, debt, terms, moved.seized, moved.retired, held, owed, state)
        since = -1
    last = prices.shape[1] - 1
    for slot in range(held.size):
        of = market[slot]
        worth[slot] = held[slot] * (prices[of, last] if falls[of] else 1.0)
        debt[slot] = owed[slot] * (1.0 if falls[of] else prices[of, last])
    if since >= 0:
        common = _common(market, worth, terms)
        if is_insolvent(worth.sum(), debt.sum(), 1.0, common):
            lost += liquidate(worth.sum(), debt.sum(), 1.0, np.inf, common).loss
    return lost, max(worth.sum() - debt.sum(), 0.0)


@njit
def _common(market: Integers, worth: Floats, terms: Floats) -> Terms:
    """Return the slots' terms weighted by what their collateral is worth; one slot's own."""
    mean = np.zeros(terms.shape[1])
    for slot in range(market.size):
        mean += terms[market[slot]] * (worth[slot] / worth.sum())
    return Terms(mean[0], mean[1], mean[2], mean[3], mean[4], mean[5])


@njit
def _take(
    market: Integers,
    worth: Floats,
    debt: Floats,
    terms: Floats,
    seized: float,
    retired: float,
    held: Floats,
    owed: Floats,
    state: NDArray[np.int8],
) -> None:
    """Take what a liquidation moves, from the slot with the highest share of its bound first."""
    shares = np.empty(held.size)
    for slot in range(held.size):
        bound = worth[slot] * terms[market[slot], 0]
        shares[slot] = 0.0 if debt[slot] == 0.0 else debt[slot] / max(bound, 1e-300)
    all_debt = retired >= debt.sum()
    for slot in np.argsort(-shares):
        paid, taken = min(retired, debt[slot]), min(seized, worth[slot])
        retired, seized = retired - paid, seized - taken
        owed[slot] *= 0.0 if all_debt else 1.0 - paid / max(debt[slot], 1e-300)
        if taken > 0.0:
            held[slot] *= 1.0 - taken / worth[slot]
            if state[slot] == KEPT:
                state[slot] = OTHER_LOST if shares[slot] <= 1.0 else LOST


@dataclass(frozen=True, slots=True)
class AccountLaw:
    """How accounts are drawn: each of `slots` slots in one of the markets, all alike likely.

    A slot's value is log-normal (median `size`, `spread` of its logarithm), its LTV uniform from
    `least_ltv` to the market's initial LTV; spare is a part of what the slots' equity is.
    """

    accounts: int
    slots: int
    size: float = 10_000.0
    spread: float = 1.0
    least_ltv: float = 0.5
    spare: float = 0.5


def random_accounts(rng: Generator, initial_ltvs: list[float], law: AccountLaw) -> Accounts:
    """Return accounts by a law; initial LTVs by market, parts of one."""
    if not 0 <= law.least_ltv <= min(initial_ltvs):
        raise RiskError(
            f"LTVs are drawn from {law.least_ltv} (limits 0 and the initial LTV "
            f"{min(initial_ltvs)}); lower it"
        )
    count = law.accounts * law.slots
    account, market = (
        np.repeat(np.arange(law.accounts), law.slots),
        rng.integers(0, len(initial_ltvs), count),
    )
    value = law.size * np.exp(law.spread * rng.standard_normal(count))
    debt = value * rng.uniform(law.least_ltv, np.array(initial_ltvs)[market])
    return Accounts(account, market, value, debt, law.spare * np.bincount(account, value - debt))


def _draw(given: Mapping[str, Any], rng: Generator) -> Result:
    prices: JointPrices = given["prices"]
    found = compare(given["accounts"], given["venues"], prices.draw(rng), given["keepers"])
    return {
        f"{kind.name}.{name}": np.asarray(getattr(getattr(found, kind.name), name), np.float64)
        for kind in fields(found)
        for name in FIGURES
    }


DRAW_CROSS = Task("isolated-cross", _draw)
FIGURES = ("lost", "other_lost", "lender_loss", "capital")
"""Of a Margin, a path each, in a task's result as "isolated.lost"."""

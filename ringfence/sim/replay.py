"""A run once more by the risk engine: at which step each position is due, and for how much.

Given are the words that openings, owners and liquidations left behind, the feed's answers, the debt
indices, and when the keeper stood still. What the engine says of them is held against what the
vault said at each step and what the keeper did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ringfence.math import liquidation
from ringfence.math.fixed_point import WAD
from ringfence.math.health import debt_up
from ringfence.math.position_slot import PositionSlot, unpack
from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.rules.book import Book, Positions
from ringfence.risk.rules.left_alone import LeftAlone
from ringfence.risk.rules.market import RiskMarket
from ringfence.sim.result import Market, Position, Result, Step

_LIQUIDATED = ("liquidated in part", "liquidated")
_ALL = 2**127
"""More than any debt."""


@dataclass(frozen=True, slots=True)
class Fall:
    """A liquidation at a step: collateral units seized; asset units repaid, cut and lost."""

    market: str
    position_id: int
    step: int
    seized: int
    repaid: int
    cut: int
    loss: int


@dataclass(frozen=True, slots=True)
class Track:
    """One position, step by step from 0.

    words: what it held at each step before its owner acted, 0 where it was not open. due: the steps
    at which the engine says it is liquidatable then. left_alone: the first step at which it would
    have been, had nobody touched it since its opening, or None.
    """

    position: Position
    words: tuple[int, ...]
    due: tuple[int, ...]
    left_alone: int | None

    @property
    def differs(self) -> Integers:
        """Return for each step 1 where engine and vault disagree, 0 where not."""
        wrong = set(self.due) ^ set(self.position.liquidatable_at)
        return np.array([step in wrong for step in range(len(self.words))], np.int64)


@dataclass(frozen=True, slots=True)
class Replay:
    """What the engine says of a run: `falls` at which steps it has a keeper that acts at once."""

    markets: Mapping[str, RiskMarket]
    tracks: tuple[Track, ...]
    falls: tuple[Fall, ...]


def risk_market(market: Market, decimals: Mapping[str, int]) -> RiskMarket:
    """Return a run's market as the risk engine has it."""
    return RiskMarket(
        market.name,
        round(market.initial_ltv * WAD),
        market.risk,
        decimals[market.collateral],
        decimals[market.asset],
        falls=market.side == "long",
    )


def replay(
    steps: Sequence[Step],
    markets: Sequence[Market],
    positions: Sequence[Position],
    decimals: Mapping[str, int],
) -> Replay:
    """Return a run as the engine plays it; `decimals` by the tokens' symbols."""
    places = {step.time: index for index, step in enumerate(steps)}
    answers = np.array([step.answer for step in steps], np.int64)
    tracks: list[Track] = []
    falls: list[Fall] = []
    known = {market.name: risk_market(market, decimals) for market in markets}
    indices = {market.name: market.debt_indices for market in markets}
    for position in positions:
        market, growing = known[position.market], indices[position.market]
        looks, last = _words(position, places)
        opened = places[position.actions[0].time]
        alone = _due(market, (0,) * opened + (looks[opened],) * (len(steps) - opened),
                     answers, growing)  # fmt: skip
        due = _due(market, looks, answers, growing)
        tracks.append(Track(position, looks, due, alone[0] if alone else None))
        for step in _due(market, last, answers, growing):
            if steps[step].keeper_on:
                price = market.price(int(answers[step]))
                moved = liquidation.liquidate(
                    unpack(last[step]), growing[step], price, _ALL, market.risk
                )
                amounts = moved.seized, moved.repaid, moved.cut, moved.loss
                falls.append(Fall(market.id, position.position_id, step, *amounts))
    return Replay(known, tuple(tracks), tuple(falls))


def of(result: Result) -> Replay:
    """Return the replay of a result; steps and markets must have been recorded."""
    decimals = {token.symbol: token.decimals for token in result.tokens}
    return replay(result.steps, result.markets, result.positions, decimals)


def _words(
    position: Position, places: Mapping[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return what a position held at each step: before its owner acted, and before a keeper did."""
    looks, last, word = [0] * len(places), [0] * len(places), 0
    at = {step: [*acts] for step, acts in
          groupby(position.actions, key=lambda action: places[action.time])}  # fmt: skip
    for step in range(len(places)):
        acts = at.get(step, [])
        opening = acts and acts[0].kind == "opened"
        looks[step] = acts[0].slot if opening else word
        own = [action.slot for action in acts if action.kind not in _LIQUIDATED]
        last[step] = own[-1] if own else word
        word = acts[-1].slot if acts else word
    return tuple(looks), tuple(last)


def _due(
    market: RiskMarket, words: Sequence[int], answers: Integers, indices: Sequence[int]
) -> tuple[int, ...]:
    """Return the steps at which a position of these words is liquidatable."""
    found: list[int] = []
    for word, run in groupby(range(len(words)), key=lambda step: words[step]):
        at = [*run]
        if word:
            span = slice(at[0], at[-1] + 1)
            alone = LeftAlone(
                market, [0], _positions([unpack(word)], indices[at[0]]), answers[span],
                indices[span],
            )  # fmt: skip
            found += [at[0] + int(step) for step in np.flatnonzero(alone.liquidatable()[:, 0])]
    return tuple(found)


def _positions(slots: Sequence[PositionSlot], index: int) -> Positions:
    return Positions([one.collateral for one in slots], [one.scaled_debt for one in slots], index)


def book_at(run: Replay, market: Market, step: int) -> Book:
    """Return a market's positions with debt as they stood at a step."""
    slots = [
        unpack(track.words[step]) for track in run.tracks if track.position.market == market.name
    ]
    owing = [slot for slot in slots if slot.scaled_debt]
    return Book.of(run.markets[market.name], _positions(owing, market.debt_indices[step]))


def owed(run: Replay, markets: Sequence[Market], prices: Sequence[float]) -> Floats:
    """Return the debt of all positions at each step, USDC, at prices in USDC per WETH [step]."""
    found = np.zeros(len(prices))
    for market in markets:
        known = run.markets[market.name]
        own = [track.words for track in run.tracks if track.position.market == market.name]
        for step, index in enumerate(market.debt_indices):
            units = sum(debt_up(unpack(words[step]).scaled_debt, index) for words in own)
            rate = 1.0 if known.falls else prices[step]
            found[step] += units / 10**known.asset_decimals * rate
    return found

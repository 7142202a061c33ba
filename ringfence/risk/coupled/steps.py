"""The steps of the coupled engine, jitted; `ringfence.risk.coupled.engine` says what they mean."""

from __future__ import annotations

from enum import IntEnum
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.due import (
    EVENTS,
    HEAP,
    WAITING,
    Queue,
    bad_debt,
    queue_of,
    riskiest,
    take,
    wait,
    wake,
)
from ringfence.risk.coupled.pool import Place, Trade, compound, move, sell
from ringfence.risk.coupled.stack import AGAIN, COLLATERAL, COLUMNS, DEBT, INDEX, KEY, push
from ringfence.risk.rules.liquidations import Moved, Terms, is_insolvent, liquidate
from ringfence.risk.work.jit import njit


class World(NamedTuple):
    """All that stands still along a path; amounts in asset units, ages in steps.

    The contract's price is `unit` times the feed's answer, in a short `unit` over it.
    """

    unit: float
    falls: bool
    answer: int
    fee: float
    compounds: bool
    closed: float
    impact: float
    deviation: float
    heartbeat: int
    max_age: int
    capacity: int
    gas: float
    most_loss: float
    reserve: float
    out_from: int
    out_to: int
    oracle_out: bool
    capacity_out: int


class Ledger(IntEnum):
    """Columns of a path's totals, and of its record step by step.

    Prices are in asset units per collateral unit; what pool, traders and keepers hold is counted
    from nothing at the start. Sums so far, but for the prices.
    """

    PRICE = 0
    ANSWER = 1
    POOL_PRICE = 2
    POOL_LOW = 3
    POOL_COLLATERAL = 4
    POOL_ASSET = 5
    TRADERS_COLLATERAL = 6
    TRADERS_ASSET = 7
    KEEPERS = 8
    GAS = 9
    SEIZED = 10
    REPAID = 11
    CUT = 12
    RETIRED = 13
    RESERVE_USED = 14
    LENDER_LOSS = 15
    RESERVE = 16
    LIQUIDATIONS = 17
    LIQUIDATED = 18
    BAD_DEBT = 19


class Event(IntEnum):
    """Columns of a liquidation's record; the position by its place in the book."""

    STEP = 0
    POSITION = 1
    PRICE = 2
    SEIZED = 3
    REPAID = 4
    CUT = 5
    RETIRED = 6
    LOSS = 7
    BOUGHT = 8


class Curve(NamedTuple):
    """The pool's arrays; a v2 pool's liquidity changes."""

    roots: Floats
    liquidity: Floats


_COLUMNS = len(Ledger)


class Offer(NamedTuple):
    """A liquidation, the sale of what it seizes, and what is left of that, gas not paid."""

    moved: Moved
    trade: Trade
    profit: float


@njit
def run_paths(
    world: World,
    terms: Terms,
    collateral: Floats,
    debt: Floats,
    key: Floats,
    roots: Floats,
    liquidity: Floats,
    place: Place,
    paths: Floats,
    ledger: Floats,
    events: Floats,
) -> tuple[Floats, int]:
    """Return the totals of each path [path, Ledger], and how many events were written.

    The book is in order of risk. `ledger` and `events` may have no rows: nothing is recorded.
    """
    queue = queue_of(collateral, debt, key)
    totals = np.zeros((len(paths), _COLUMNS))
    for i in range(len(paths)):
        queue.marks[:] = 0
        curve = Curve(roots, liquidity.copy())
        _run(world, terms, queue, curve, place, paths[i], totals[i], ledger, events)
    return totals, queue.marks[EVENTS]


@njit
def keep_once(
    world: World,
    terms: Terms,
    collateral: Floats,
    debt: Floats,
    key: Floats,
    roots: Floats,
    liquidity: Floats,
    place: Place,
    price: float,
    events: Floats,
) -> tuple[Place, int]:
    """Let keepers act at one price, at no other time; return the pool's place and the events.

    The book is of what may be due, in order of risk; keys are above liquidation LTV times price.
    """
    queue = queue_of(collateral, debt, key)
    curve, totals = Curve(roots, liquidity.copy()), np.zeros(_COLUMNS)
    many = world.capacity
    place = _keep(world, terms, queue, curve, place, price, many, 0, totals, events)
    return place, queue.marks[EVENTS]


@njit
def _run(
    world: World,
    terms: Terms,
    queue: Queue,
    curve: Curve,
    place: Place,
    path: Floats,
    totals: Floats,
    ledger: Floats,
    events: Floats,
) -> None:
    answer, age, pressure = float(world.answer), 0, 1.0
    totals[Ledger.RESERVE] = world.reserve
    totals[Ledger.POOL_LOW] = place.root * place.root
    fair, key = 0.0, riskiest(queue)
    bound = terms.liquidation_ltv * _price(world, answer)
    for step in range(len(path)):
        out = world.out_from <= step < world.out_to
        moving = path[step] * pressure if world.falls else path[step] / pressure
        fair = _price(world, world.answer * moving)
        place = _arbitrage(world, curve, place, fair, totals)
        age += 1
        source = max(np.floor(world.answer * moving), 1.0)
        if not (out and world.oracle_out) and (
            step == 0 or age >= world.heartbeat or abs(source - answer) >= world.deviation * answer
        ):
            if source != answer and queue.marks[WAITING]:
                wake(queue, inf)
                key = riskiest(queue)
            answer, age = source, 0
            bound = terms.liquidation_ltv * _price(world, answer)
        if queue.marks[WAITING] and -queue.waiting[0, KEY] <= place.root * place.root:
            wake(queue, place.root * place.root)
            key = riskiest(queue)
        if key > bound and age <= world.max_age:
            price = _price(world, answer)
            capacity = world.capacity_out if out else world.capacity
            before = place.root
            place = _keep(world, terms, queue, curve, place, price, capacity, step, totals, events)
            key = riskiest(queue)
            pressure *= 1.0 + world.impact * ((place.root / before) ** 2 - 1.0)
            totals[Ledger.POOL_LOW] = min(totals[Ledger.POOL_LOW], place.root * place.root)
        if len(ledger):
            totals[Ledger.PRICE], totals[Ledger.ANSWER] = fair, answer
            totals[Ledger.POOL_PRICE] = place.root * place.root
            ledger[step, :] = totals
    totals[Ledger.PRICE], totals[Ledger.ANSWER] = fair, answer
    totals[Ledger.POOL_PRICE] = place.root * place.root
    totals[Ledger.BAD_DEBT] = bad_debt(queue, terms, fair)


@njit
def _price(world: World, answer: float) -> float:
    return world.unit * answer if world.falls else world.unit / answer


@njit
def _arbitrage(world: World, curve: Curve, place: Place, fair: float, totals: Floats) -> Place:
    """Bring the pool towards the nearest price at which trading either way earns nothing."""
    price = place.root * place.root
    kept = 1.0 - world.fee
    if fair * kept <= price <= fair / kept:
        return place
    goal = sqrt(fair * kept if price < fair else fair / kept)
    target = place.root + world.closed * (goal - place.root)
    trade = move(curve.roots, curve.liquidity, world.fee, place, target)
    totals[Ledger.TRADERS_COLLATERAL] -= trade.collateral
    totals[Ledger.TRADERS_ASSET] -= trade.asset
    place = _settle(world, curve, trade, totals)
    totals[Ledger.POOL_LOW] = min(totals[Ledger.POOL_LOW], place.root * place.root)
    return place


@njit
def _settle(world: World, curve: Curve, trade: Trade, totals: Floats) -> Place:
    totals[Ledger.POOL_COLLATERAL] += trade.collateral
    totals[Ledger.POOL_ASSET] += trade.asset
    return compound(curve.liquidity, trade) if world.compounds else trade.place


@njit
def _keep(
    world: World,
    terms: Terms,
    queue: Queue,
    curve: Curve,
    place: Place,
    price: float,
    capacity: int,
    step: int,
    totals: Floats,
    events: Floats,
) -> Place:
    """Liquidate what pays, riskiest first; return where the pool then stands."""
    row, done = np.empty((1, COLUMNS)), 0
    while done < capacity and riskiest(queue) > terms.liquidation_ltv * price:
        take(queue, row)
        bears = (
            world.most_loss if is_insolvent(row[0, COLLATERAL], row[0, DEBT], price, terms) else 0.0
        )
        whole = liquidate(row[0, COLLATERAL], row[0, DEBT], price, inf, terms)
        paid = whole.repaid + whole.cut
        room = _room(world, curve, place, paid / whole.seized)
        most = -room.asset - room.collateral * (paid / whole.seized)
        if most <= world.gas and bears == 0.0:
            # Nobody less risky earns more: the bonus falls with the LTV.
            queue.marks[HEAP] = push(queue.heap, queue.marks[HEAP], row)
            break
        offer = _offer(world, terms, curve, place, price, row, whole, room)
        if offer.profit < world.gas - bears:
            missing = (paid + world.gas - bears) / (paid + offer.profit)
            wait(queue, row, place.root * place.root * missing if missing > 0.0 else inf)
            continue
        done += 1
        place = _settle(world, curve, offer.trade, totals)
        _book(world, offer, totals, row[0, AGAIN] == 0.0)
        if queue.marks[EVENTS] < len(events):
            _write(events[queue.marks[EVENTS]], step, price, row, offer)
            queue.marks[EVENTS] += 1
        row[0, COLLATERAL] -= offer.moved.seized
        row[0, DEBT] -= offer.moved.retired
        if row[0, DEBT] > 0.0 and row[0, COLLATERAL] > 0.0:
            row[0, KEY], row[0, AGAIN] = row[0, DEBT] / row[0, COLLATERAL], 1.0
            queue.marks[HEAP] = push(queue.heap, queue.marks[HEAP], row)
    return place


@njit
def _room(world: World, curve: Curve, place: Place, cost: float) -> Trade:
    """Return the sale that earns most where a collateral unit costs `cost` asset units."""
    target = min(sqrt(cost / (1.0 - world.fee)), place.root)
    return move(curve.roots, curve.liquidity, world.fee, place, target)


@njit
def _offer(
    world: World,
    terms: Terms,
    curve: Curve,
    place: Place,
    price: float,
    row: Floats,
    whole: Moved,
    room: Trade,
) -> Offer:
    """Return the size that earns most: the whole, or what the pool takes best."""
    best = _sale(world, curve, place, whole)
    if whole.seized > room.collateral > 0.0:
        size = whole.repaid * (room.collateral / whole.seized)
        part = liquidate(row[0, COLLATERAL], row[0, DEBT], price, size, terms)
        if part.retired > 0.0:
            less = _sale(world, curve, place, part)
            if less.profit > best.profit:
                return less
    return best


@njit
def _sale(world: World, curve: Curve, place: Place, moved: Moved) -> Offer:
    trade = sell(curve.roots, curve.liquidity, world.fee, place, moved.seized)
    profit = -trade.asset - moved.repaid - moved.cut if trade.left == 0.0 else -inf
    return Offer(moved, trade, profit)


@njit
def _book(world: World, offer: Offer, totals: Floats, first: bool) -> None:
    moved = offer.moved
    used = min(moved.loss, totals[Ledger.RESERVE] + moved.cut)
    totals[Ledger.SEIZED] += moved.seized
    totals[Ledger.REPAID] += moved.repaid
    totals[Ledger.CUT] += moved.cut
    totals[Ledger.RETIRED] += moved.retired
    totals[Ledger.RESERVE_USED] += used
    totals[Ledger.LENDER_LOSS] += moved.loss - used
    totals[Ledger.RESERVE] += moved.cut - used
    totals[Ledger.KEEPERS] += offer.profit
    totals[Ledger.GAS] += world.gas
    totals[Ledger.LIQUIDATIONS] += 1
    totals[Ledger.LIQUIDATED] += first


@njit
def _write(event: Floats, step: int, price: float, row: Floats, offer: Offer) -> None:
    moved = offer.moved
    event[Event.STEP], event[Event.POSITION], event[Event.PRICE] = step, row[0, INDEX], price
    event[Event.SEIZED], event[Event.REPAID] = moved.seized, moved.repaid
    event[Event.CUT], event[Event.RETIRED] = moved.cut, moved.retired
    event[Event.LOSS], event[Event.BOUGHT] = moved.loss, -offer.trade.asset

"""The steps of the coupled engine, jitted; `ringfence.risk.coupled` says what they mean."""

from __future__ import annotations

from enum import IntEnum
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringfence.risk.arrays import Floats
from ringfence.risk.jit import njit
from ringfence.risk.liquidations import Moved, Terms, is_insolvent, liquidate
from ringfence.risk.pool import Place, Trade, compound, move, sell
from ringfence.risk.stack import AGAIN, COLLATERAL, COLUMNS, DEBT, INDEX, KEY, is_before, pop, push


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


class Queue(NamedTuple):
    """Who may be due: the book in order of risk, and rows of what was taken out of it.

    `heap` holds what was taken out and is to be looked at, `waiting` what did not pay, its key less
    the pool's price at which it may. `marks`: the book's next, the rows in either, and
    the events that were recorded.
    """

    collateral: Floats
    debt: Floats
    key: Floats
    heap: Floats
    waiting: Floats
    marks: NDArray[np.int64]


_NEXT, _HEAP, _WAITING, _EVENTS = range(4)
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
    size = len(collateral)
    queue = Queue(
        collateral,
        debt,
        key,
        np.empty((size, COLUMNS)),
        np.empty((size, COLUMNS)),
        np.zeros(4, np.int64),
    )
    totals = np.zeros((len(paths), _COLUMNS))
    for i in range(len(paths)):
        queue.marks[:] = 0
        curve = Curve(roots, liquidity.copy())
        _run(world, terms, queue, curve, place, paths[i], totals[i], ledger, events)
    return totals, queue.marks[_EVENTS]


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
    fair, key = 0.0, _key(queue)
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
            if source != answer and queue.marks[_WAITING]:
                _wake(queue, inf)
                key = _key(queue)
            answer, age = source, 0
            bound = terms.liquidation_ltv * _price(world, answer)
        if queue.marks[_WAITING] and -queue.waiting[0, KEY] <= place.root * place.root:
            _wake(queue, place.root * place.root)
            key = _key(queue)
        if key > bound and age <= world.max_age:
            price = _price(world, answer)
            capacity = world.capacity_out if out else world.capacity
            before = place.root
            place = _keep(world, terms, queue, curve, place, price, capacity, step, totals, events)
            key = _key(queue)
            pressure *= 1.0 + world.impact * ((place.root / before) ** 2 - 1.0)
            totals[Ledger.POOL_LOW] = min(totals[Ledger.POOL_LOW], place.root * place.root)
        if len(ledger):
            totals[Ledger.PRICE], totals[Ledger.ANSWER] = fair, answer
            totals[Ledger.POOL_PRICE] = place.root * place.root
            ledger[step, :] = totals
    totals[Ledger.PRICE], totals[Ledger.ANSWER] = fair, answer
    totals[Ledger.POOL_PRICE] = place.root * place.root
    totals[Ledger.BAD_DEBT] = _bad_debt(queue, fair)


@njit
def _price(world: World, answer: float) -> float:
    return world.unit * answer if world.falls else world.unit / answer


@njit
def _key(queue: Queue) -> float:
    """Return debt over collateral of the riskiest: due iff above liquidation LTV times price."""
    key = queue.heap[0, KEY] if queue.marks[_HEAP] else 0.0
    at = queue.marks[_NEXT]
    if at < len(queue.debt):
        key = max(key, queue.key[at])
    return key


@njit
def _take(queue: Queue, row: Floats) -> None:
    """Take the riskiest out of the queue into `row`."""
    at = queue.marks[_NEXT]
    if at < len(queue.debt):
        row[0, COLLATERAL], row[0, DEBT] = queue.collateral[at], queue.debt[at]
        row[0, KEY] = queue.key[at]
    else:
        row[0, KEY] = -inf
    row[0, INDEX], row[0, AGAIN] = at, 0.0
    if queue.marks[_HEAP] and is_before(queue.heap, 0, row, 0):
        queue.marks[_HEAP] = pop(queue.heap, queue.marks[_HEAP], row)
        return
    queue.marks[_NEXT] += 1


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
    while done < capacity and _key(queue) > terms.liquidation_ltv * price:
        _take(queue, row)
        bears = (
            world.most_loss if is_insolvent(row[0, COLLATERAL], row[0, DEBT], price, terms) else 0.0
        )
        whole = liquidate(row[0, COLLATERAL], row[0, DEBT], price, inf, terms)
        paid = whole.repaid + whole.cut
        room = _room(world, curve, place, paid / whole.seized)
        most = -room.asset - room.collateral * (paid / whole.seized)
        if most <= world.gas and bears == 0.0:
            # Nobody less risky earns more: the bonus falls with the LTV.
            queue.marks[_HEAP] = push(queue.heap, queue.marks[_HEAP], row)
            break
        offer = _offer(world, terms, curve, place, price, row, whole, room)
        if offer.profit < world.gas - bears:
            _wait(queue, row, place, (paid + world.gas - bears) / (paid + offer.profit))
            continue
        done += 1
        place = _settle(world, curve, offer.trade, totals)
        _book(world, offer, totals, row[0, AGAIN] == 0.0)
        if queue.marks[_EVENTS] < len(events):
            _write(events[queue.marks[_EVENTS]], step, price, row, offer)
            queue.marks[_EVENTS] += 1
        row[0, COLLATERAL] -= offer.moved.seized
        row[0, DEBT] -= offer.moved.retired
        if row[0, DEBT] > 0.0 and row[0, COLLATERAL] > 0.0:
            row[0, KEY], row[0, AGAIN] = row[0, DEBT] / row[0, COLLATERAL], 1.0
            queue.marks[_HEAP] = push(queue.heap, queue.marks[_HEAP], row)
    return place


@njit
def _wait(queue: Queue, row: Floats, place: Place, missing: float) -> None:
    """Have a row wait until the pool's price is `missing` times what it is, or the next answer."""
    row[0, KEY] = -place.root * place.root * missing if missing > 0.0 else -inf
    queue.marks[_WAITING] = push(queue.waiting, queue.marks[_WAITING], row)


@njit
def _wake(queue: Queue, price: float) -> None:
    """Have what waits for the pool to stand at `price`, or lower, be looked at again."""
    row = np.empty((1, COLUMNS))
    while queue.marks[_WAITING] and -queue.waiting[0, KEY] <= price:
        queue.marks[_WAITING] = pop(queue.waiting, queue.marks[_WAITING], row)
        if row[0, AGAIN] == 0.0:
            row[0, KEY] = queue.key[int(row[0, INDEX])]
        else:
            row[0, KEY] = row[0, DEBT] / row[0, COLLATERAL]
        queue.marks[_HEAP] = push(queue.heap, queue.marks[_HEAP], row)


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


@njit
def _bad_debt(queue: Queue, price: float) -> float:
    """Return debt above what its collateral is worth, of all that is left."""
    found = 0.0
    for i in range(queue.marks[_HEAP]):
        found += max(queue.heap[i, DEBT] - queue.heap[i, COLLATERAL] * price, 0.0)
    for i in range(queue.marks[_WAITING]):
        found += max(queue.waiting[i, DEBT] - queue.waiting[i, COLLATERAL] * price, 0.0)
    for i in range(queue.marks[_NEXT], len(queue.debt)):
        over = queue.debt[i] - queue.collateral[i] * price
        if over <= 0.0:
            break
        found += over
    return found

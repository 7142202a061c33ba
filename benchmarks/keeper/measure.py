"""What is measured, and in which order: the store grows, then the price falls step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.keeper import memory
from benchmarks.keeper.crowd import crowd
from benchmarks.keeper.figures import of_times
from benchmarks.keeper.ground import Ground, spread
from benchmarks.keeper.hand import Hand, at_work
from benchmarks.run import Tell
from ringfence.evm import Contract
from ringfence.keeper.act.policy import MAX_TARGETS
from ringfence.keeper.service import Beat

VAULTS = 100
SIZES = 10_000, 100_000, 1_000_000
"""Safe positions that the store has, one after the other; the chain has the first so many."""
ROUNDS, EACH = 20, 50
"""So many times, so many positions of one vault cross at once."""
CROSSING, CROSSING_VAULTS = 5_000, 10
IDLE = 100
"""Blocks with nothing to do, at each size."""

_START = Fraction(925, 1_000)
"""Of the price at which positions are opened: where the falls begin."""
_STEP = Fraction(15, 10_000)
_LIMIT = Fraction(86, 100)
_SAFE = Fraction(55, 100)


def price_after(steps: Fraction | int) -> Fraction:
    """Return the price after so many falls, part of that at which positions are opened."""
    return _START * (1 - _STEP * steps)


def _wanted(ground: Ground) -> Iterator[tuple[Contract, int]]:
    """Yield vault and debt of each position on the chain: those that cross, then the safe ones."""
    own, safe = ground.vaults[:ROUNDS], SIZES[0] - ROUNDS * EACH - CROSSING
    half = Fraction(1, 2)
    for number, vault in enumerate(own):
        yield from [(vault, ground.debt_at(_LIMIT * price_after(number + half)))] * EACH
    last = ground.debt_at(_LIMIT * price_after(ROUNDS + half))
    others = ground.vaults[ROUNDS : ROUNDS + CROSSING_VAULTS]
    yield from ((vault, last) for vault in spread(others, CROSSING))
    yield from ((vault, ground.debt_at(_SAFE)) for vault in spread(ground.vaults, safe))


async def measure(ground: Ground, folder: Path, tell: Tell) -> list[Figure]:
    """Return every figure; raise RuntimeError where the keeper does not do what it must."""
    store, ledger = f"sqlite:///{folder / 'store.db'}", f"sqlite:///{folder / 'ledger.db'}"
    tell(f"{SIZES[0]:,} positions on the chain, in {VAULTS} vaults")
    ground.open([*_wanted(ground)], lambda _count: None)
    ground.sell_off(_START)
    ground.update_feed(_START)
    async with at_work(ground, store, ledger) as hand:
        ground.mine()
        await hand.beat()
    idle: list[list[float]] = []
    have = SIZES[0]
    for number, size in enumerate(SIZES):
        tell(f"{size:,} safe positions in the store")
        crowd(ground, store, ground.vaults, size - have, number, lambda _count: None)
        have = size
        async with at_work(ground, store, ledger) as hand:
            ground.mine()
            await hand.beat()
            idle.append(await hand.idle(IDLE))
    alone = memory.measure(ground.engine.url, ground.folder / "deployment.json", store)
    async with at_work(ground, store, ledger) as hand:
        ground.mine()
        await hand.beat()
        figures = [
            Figure(f"a new process has {SIZES[-1]:,} positions", alone["seconds"], "s", 15),
            Figure("memory of that process", alone["megabytes"], "MB", 400),
            *_comparisons(hand),
            *of_times("a block with nothing to do", idle[-1], 50),
            _flatness(idle),
        ]
        tell(f"{ROUNDS} times {EACH} positions cross")
        figures += of_times(f"a block in which {EACH} cross", await _rounds(hand), 150)
        tell(f"{CROSSING:,} positions cross in one block")
        figures += await _all_at_once(hand)
    return figures


def _comparisons(hand: Hand) -> list[Figure]:
    """Compare every vault's column, as a block does, without the node."""
    spent = []
    book = hand.service.engine.book
    sights = hand.service.engine.last.vaults
    for _ in range(IDLE):
        started = time.perf_counter()
        for vault, sight in sights.items():
            book.due(vault, sight.price, sight.debt_index, 2**40 - 1)
        spent.append(time.perf_counter() - started)
    return of_times("comparison of them all", spent, 5)


def _flatness(idle: Sequence[Sequence[float]]) -> Figure:
    middle = [sorted(one)[len(one) // 2] for one in idle]
    sizes = ", ".join(f"{size:,}" for size in SIZES)
    return Figure(f"slowest over quickest of {sizes}", max(middle) / min(middle), "times", 2)


async def _cross(hand: Hand, share: Fraction) -> tuple[float, Beat]:
    """Let the price fall; return what the block with the feed's update took, and came to."""
    hand.ground.sell_off(share)
    await hand.beat()
    hand.ground.update_feed(share)
    return await hand.beat()


async def _rounds(hand: Hand) -> list[float]:
    """Let a vault's positions cross, again and again; return the seconds from head to sent."""
    ground, spent = hand.ground, []
    opened_at = ground.price / _START
    for number in range(1, ROUNDS + 1):
        seconds, beat = await _cross(hand, opened_at * price_after(number) / ground.price)
        targets = [len(sent.targets) for sent in beat.report.sent]
        if targets != [EACH]:
            raise RuntimeError(f"round {number}: sent {targets}, not one batch of {EACH}")
        spent.append(seconds)
        ground.mine()
        await hand.beat()
    return spent


async def _all_at_once(hand: Hand) -> list[Figure]:
    """Let thousands cross; return how many transactions it took until none was due."""
    ground = hand.ground
    first, beat = await _cross(hand, price_after(ROUNDS + 1) / price_after(ROUNDS))
    due = _due(beat)
    if due != CROSSING:
        raise RuntimeError(f"{due} positions are due, not {CROSSING}")
    sent, blocks = _new(beat), 1
    while due or hand.service.status.lane.open:
        if blocks > 10 * CROSSING // MAX_TARGETS:
            raise RuntimeError(f"{due} positions are still due after {blocks} blocks")
        ground.mine()
        _seconds, beat = await hand.beat()
        due, sent, blocks = _due(beat), sent + _new(beat), blocks + 1
    least = CROSSING_VAULTS * -(-CROSSING // CROSSING_VAULTS // MAX_TARGETS)
    lane = hand.service.status.lane
    if lane.failed:
        raise RuntimeError(f"{lane.failed} transactions reverted")
    return [
        Figure(f"transactions for {CROSSING:,} at once", sent, "", least),
        Figure("blocks until none was due", blocks, ""),
        Figure("that block, until what it sends is sent", first, "s"),
    ]


def _due(beat: Beat) -> int:
    return sum(map(len, beat.tick.due.values()))


def _new(beat: Beat) -> int:
    """Return how many transactions were sent, replacements left out."""
    return sum(one.replaces is None for one in beat.report.sent)

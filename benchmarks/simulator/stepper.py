"""The stepper beside the memory that its triggers come from, measured in the same run."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numba import njit

from benchmarks.figures import Figure
from benchmarks.run import Tell
from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams
from ringfence.risk.arrays import Integers
from ringfence.risk.rules.book import Book, BookLaw, random_positions
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import answers_of, count, first_steps, survey

SIZES = (10**6, 10**7)
PLAIN_STEPS, BLOCKED_STEPS, ROUNDS = 8, 64, 25
POSITIONS, STEPS, PATHS, TASKS = 10**6, 1_440, 1_000, 20
ANSWER = 2_000 * 10**8
MINUTE_DEVIATION = 0.9 / (365 * 1_440) ** 0.5
"""Of a log return: 90 % a year."""
MARKET = RiskMarket(
    "weth-usdc",
    80 * WAD // 100,
    RiskParams(86 * WAD // 100, 83 * WAD // 100, WAD // 100, 1_077 * WAD // 1_000, WAD // 10, 1),
    18,
    6,
)
LAW = BookLaw(5.0, least_ltv=0.4)


@njit(cache=True)
def _read(numbers: Integers, times: int) -> int:
    """Read all numbers so many times, as often as the plain compare does: caches are as warm."""
    total = 0
    for turn in range(times):
        for at in range(numbers.size):
            total += numbers[at] ^ turn
    return total


def _seconds(work: Callable[[], object]) -> float:
    """Return the seconds that this thread was on a core: others' work does not count as ours."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _speeds(size: int) -> list[Figure]:
    """Return how fast triggers are read, compared plainly, and compared in blocks.

    The best of rounds in which the three take turns, so that what else the machine does slows one
    as the other.
    """
    rng = np.random.default_rng(size)
    triggers, answers = rng.integers(1, ANSWER, size), rng.integers(1, ANSWER, BLOCKED_STEPS)
    works = {
        partial(_read, triggers, PLAIN_STEPS): PLAIN_STEPS,
        partial(count, triggers, answers[:PLAIN_STEPS], falls=True, blocked=False): PLAIN_STEPS,
        partial(count, triggers, answers, falls=True, blocked=True): BLOCKED_STEPS,
    }
    best = dict.fromkeys(works, float("inf"))
    for _round in range(ROUNDS):
        for work, steps in works.items():
            best[work] = min(best[work], _seconds(work) / steps)
    limit, plain, blocked = (size / seconds / 1e9 for seconds in best.values())
    of = f"of {size // 10**6}M triggers"
    return [
        Figure(f"read {of}", limit * 8, "GB/s"),
        Figure(f"plain compare {of}", plain, "G position-steps/s"),
        Figure(f"plain compare {of}, of the read", plain / limit, "times", 0.7, at_least=True),
        Figure(f"blocked compare {of}", blocked, "G position-steps/s"),
        Figure(f"blocked compare {of}, of the read", blocked / limit, "times", 2.0, at_least=True),
    ]


def _answers(seed: np.random.SeedSequence, paths: int) -> Integers:
    """Return a day's answers by the minute: [path, STEPS]."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(-(MINUTE_DEVIATION**2) / 2, MINUTE_DEVIATION, (paths, STEPS))
    return answers_of(np.exp(np.cumsum(logs, axis=1)), ANSWER)


def surveyed(triggers: Integers, seed: np.random.SeedSequence, paths: int) -> int:
    """Return how often positions became liquidatable in some days, drawn here."""
    return int(survey(triggers, _answers(seed, paths), falls=True).newly.sum())


def timed(triggers: Integers, seed: np.random.SeedSequence, paths: int) -> int:
    """Return a sum of each position's first step in each of the days, every one written out."""
    total = 0
    for path in _answers(seed, paths):
        total += int(first_steps(triggers, path, falls=True).sum())
    return total


def _days(work: Callable[..., int], executor: Executor, triggers: Integers) -> tuple[float, int]:
    """Return the seconds that all PATHS took, and the sum of what the tasks returned."""
    seeds = np.random.SeedSequence(1).spawn(TASKS)
    started = time.perf_counter()
    total = sum(executor.map(partial(work, triggers, paths=PATHS // TASKS), seeds))
    return time.perf_counter() - started, total


def _status(name: str) -> int:
    """Return a figure of this process's memory, bytes; Linux only."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if name in line]
    return int(line.split()[1]) * 1_024


def _bytes_a_position(size: int) -> float:
    """Return what a book of triggers and its survey take at most; for a process of its own."""
    survey(np.arange(4), np.ones((1, 1), np.int64), falls=True)
    before = _status("VmRSS")
    triggers = np.arange(1, size + 1)
    found = survey(triggers, np.ones((1, 1), np.int64), falls=True)
    # The peak holds both, and all hits but one were written.
    return (_status("VmHWM") - before) / min(triggers.size, found.hits.size)


def measure(tell: Tell) -> list[Figure]:
    """Return the stepper's figures; takes about a minute."""
    figures = []
    for size in SIZES:
        tell(f"compare {size:,} triggers")
        figures += _speeds(size)
    tell(f"draw {POSITIONS:,} positions, and their triggers from the contract's integers")
    rng = np.random.default_rng(1)
    positions = random_positions(rng, MARKET, POSITIONS, ANSWER, LAW)
    book: list[Book] = []
    seconds = _seconds(lambda: book.append(Book.of(MARKET, positions).sorted()))
    figures.append(Figure("a book of 1M", seconds, "s", 10))
    triggers = book[0].triggers
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        for work in (surveyed, timed):
            _days(work, executor, triggers[:9])
        whole = f"{POSITIONS // 10**6}M positions x {STEPS:,} steps x {PATHS:,} paths, 2 processes"
        tell(whole)
        seconds, hits = _days(surveyed, executor, triggers)
        share = 100 * hits / POSITIONS / PATHS
        figures.append(Figure(f"{whole}, counted", seconds, "s", 300))
        figures.append(Figure("of which liquidatable on its path", share, "%"))
        seconds, _total = _days(timed, executor, triggers)
        figures.append(Figure(f"{whole}, every first step", seconds, "s", 300))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        held = executor.submit(_bytes_a_position, SIZES[-1]).result()
    figures.append(Figure("memory of the stepper", held, "bytes a position", 16))
    return figures

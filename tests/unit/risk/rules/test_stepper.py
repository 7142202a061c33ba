"""Every way of stepping a book, held to a plain loop over the mirror."""

from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial, reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest

from ringfence.risk.arrays import Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.book import Book, BookLaw, Positions, random_positions
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import NEVER, answers_of, count, first_steps, newly, survey
from ringfence.risk.rules.trigger import MAX_ANSWER
from tests.support.risk import DOLLAR, LIQUIDATION_LTV, holds, risk_market

ANSWER = 2_000 * DOLLAR
MARKETS = {"long": risk_market(), "short": risk_market(6, 18, falls=False)}


@pytest.fixture(params=MARKETS)
def market(request: pytest.FixtureRequest) -> RiskMarket:
    return MARKETS[request.param]


@pytest.fixture
def positions(market: RiskMarket) -> Positions:
    """Forty by the law, two that share a trigger, one without debt."""
    rng = np.random.default_rng(5)
    drawn = random_positions(rng, market, 40, ANSWER, BookLaw(3.0, least_ltv=0.5))
    held, owed = list(drawn.collateral), list(drawn.scaled_debt)
    return Positions([*held, held[0], held[1]], [*owed, owed[0], 0])


@pytest.fixture
def book(market: RiskMarket, positions: Positions) -> Book:
    return Book.of(market, positions)


@pytest.fixture
def answers(market: RiskMarket, book: Book) -> Integers:
    """Paths [6, 160] that visit every trigger and the answer past it, in random order; one of them
    worse and worse, one standing still."""
    rng = np.random.default_rng(6)
    past = -1 if market.falls else 1
    finite = book.triggers[(book.triggers > 1) & (book.triggers < MAX_ANSWER)]
    visited = np.concatenate((finite, finite + past, finite - past))
    paths = [rng.permutation(visited) for _ in range(4)]
    paths += [np.sort(visited)[::past], np.full(visited.size, ANSWER)]
    return np.array(paths)


def by_the_mirror(market: RiskMarket, positions: Positions, path: list[int]) -> list[list[bool]]:
    """Whether each position is liquidatable at each step: [step][position]."""
    index = positions.debt_index
    pairs = list(zip(positions.collateral, positions.scaled_debt, strict=True))
    return [
        [not holds(market, held, owed, index, LIQUIDATION_LTV, answer) for held, owed in pairs]
        for answer in path
    ]


def firsts(verdicts: list[list[bool]]) -> list[int]:
    """The first step of each position."""
    return [
        next((step for step, due in enumerate(story) if due), NEVER)
        for story in zip(*verdicts, strict=True)
    ]


@pytest.mark.parametrize("blocked", [False, True])
def test_count__whole_scenarios__is_the_mirror_s_at_every_step(
    market: RiskMarket, positions: Positions, book: Book, answers: Integers, blocked: bool
) -> None:
    for path in answers:
        verdicts = by_the_mirror(market, positions, path.tolist())
        counts = count(book.triggers, path, falls=market.falls, blocked=blocked)
        assert counts.tolist() == [sum(due) for due in verdicts]
        starts = firsts(verdicts)
        assert newly(counts).tolist() == [starts.count(step) for step in range(len(path))]


def test_count__more_positions_than_a_block__is_the_plain_one() -> None:
    rng = np.random.default_rng(7)
    triggers = rng.integers(1, 1_000, 10_001)
    path = rng.integers(1, 1_000, 50)
    for falls in (True, False):
        plain = count(triggers, path, falls=falls, blocked=False)
        assert plain.tolist() == [
            int((triggers > answer if falls else triggers < answer).sum()) for answer in path
        ]
        assert (count(triggers, path, falls=falls) == plain).all()


def test_first_steps__whole_scenarios__are_the_mirror_s(
    market: RiskMarket, positions: Positions, book: Book, answers: Integers
) -> None:
    order = np.argsort(book.triggers, kind="stable")
    for path in answers:
        expected = firsts(by_the_mirror(market, positions, path.tolist()))
        found = first_steps(book.triggers[order], path, falls=market.falls)
        assert found.tolist() == [expected[position] for position in order]
    assert NEVER in found, "no position survived: the test shows less than it should"


def test_survey__some_paths__adds_up_their_first_steps(
    market: RiskMarket, book: Book, answers: Integers
) -> None:
    triggers = book.sorted().triggers
    found = survey(triggers, answers, falls=market.falls)
    firsts = [first_steps(triggers, path, falls=market.falls) for path in answers]
    assert found.hits.tolist() == sum((first != NEVER).astype(int) for first in firsts).tolist()
    for path, first, counted in zip(answers, firsts, found.newly, strict=True):
        assert (counted == np.bincount(first[first != NEVER], minlength=path.size)).all()
        assert (counted == newly(count(triggers, path, falls=market.falls))).all()


def spread_over(executor: Executor, triggers: Integers, answers: Integers, tasks: int) -> bytes:
    """A survey of the paths in slices, as bytes."""
    edges = np.linspace(0, len(answers), tasks + 1).astype(int)
    slices = [answers[low:high] for low, high in pairwise(edges)]
    job = partial(survey, triggers, falls=True)
    whole = reduce(add, executor.map(job, slices))
    return whole.newly.tobytes() + whole.hits.tobytes()


def test_survey__slices_in_two_processes__is_the_whole_to_the_byte() -> None:
    rng = np.random.default_rng(8)
    triggers = np.sort(rng.integers(1_000, 2_100, 5_000))
    answers = rng.integers(900, 2_000, (30, 40))
    whole = survey(triggers, answers, falls=True)
    with ProcessPoolExecutor(2) as executor:
        for tasks in (1, 7):
            spread = spread_over(executor, triggers, answers, tasks)
            assert spread == whole.newly.tobytes() + whole.hits.tobytes()


def test_first_steps__memory__is_below_sixteen_bytes_a_position() -> None:
    triggers = np.arange(1, 1_001)
    found = survey(triggers, np.full((1, 2), 500), falls=True)
    first = first_steps(triggers, np.array([500]), falls=True)
    held = triggers.nbytes + first.nbytes + found.hits.nbytes
    assert held <= 16 * triggers.size


def test_answers_of__relative_prices__are_rounded_and_at_least_one() -> None:
    paths = np.array([[1.0, 0.500000000004, 1e-30, 3.0]])
    assert answers_of(paths, ANSWER).tolist() == [[ANSWER, ANSWER // 2 + 1, 1, 3 * ANSWER]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e12])
def test_answers_of__no_answer__is_refused(bad: float) -> None:
    with pytest.raises(RiskError, match="check the model"):
        answers_of(np.array([[1.0, bad]]), ANSWER)

"""Runs the mirror's own code on unknown integers, and collects what must hold on each path.

A `Number` stands where the mirror expects an int. Its arithmetic builds a term of z3's unbounded
mathematical integers instead of a figure; nothing is transcribed, so a lemma is about
ringfence/math itself. Two things need more than a term:

- `a // b` becomes a fresh quotient q and remainder r with a = q * b + r and 0 <= r < b, which is
  what Python's division means for b > 0, whatever the sign of a. A divisor that is not proved
  positive is an error, so a finished run has also shown that nothing divides by zero.
- A comparison that decides a branch splits the run in two: `explore` repeats the program once for
  each way through it. A branch is dropped only where the solver proves it impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import z3

from ringfence.math.errors import RevertError

Operand: TypeAlias = "Number | int"
T = TypeVar("T")

EFFORT = 50_000
"""What the solver may spend on whether a branch is possible, in its own machine-free unit."""


class DivisorError(Exception):
    """A divisor that the facts of the path do not make positive."""


@dataclass(frozen=True, slots=True)
class Division:
    """dividend = quotient * divisor + remainder, 0 <= remainder < divisor."""

    dividend: z3.ArithRef
    divisor: z3.ArithRef
    quotient: z3.ArithRef
    remainder: z3.ArithRef


@dataclass(frozen=True, slots=True)
class Path(Generic[T]):
    """One way through the program: what holds on it, what it returned, the divisions in order.

    `outcome` is the RevertError where the program raised one.
    """

    facts: tuple[z3.BoolRef, ...]
    outcome: T | RevertError
    divisions: tuple[Division, ...]


class _Run:
    """One execution: follows the prescribed decisions, then decides and remembers the others."""

    def __init__(self, given: Sequence[z3.BoolRef], decisions: tuple[bool, ...]) -> None:
        self.facts = list(given)
        self.decisions = decisions
        self.taken: list[bool] = []
        self.others: list[tuple[bool, ...]] = []
        self.divisions: list[Division] = []

    def decide(self, condition: z3.BoolRef) -> bool:
        """Return which way a branch goes here, and note the other way if it is possible too."""
        depth = len(self.taken)
        if depth < len(self.decisions):
            choice = self.decisions[depth]
        else:
            choice = not follows(self.facts, z3.Not(condition))
            if choice and not follows(self.facts, condition):
                self.others.append((*self.taken, False))
        self.taken.append(choice)
        self.facts.append(condition if choice else z3.Not(condition))
        return choice

    def divide(self, dividend: z3.ArithRef, divisor: z3.ArithRef) -> z3.ArithRef:
        """Return a fresh quotient; its defining facts join the path's."""
        if not z3.is_int_value(divisor) and not follows(self.facts, divisor > 0):
            raise DivisorError(f"{divisor} is not proved positive")
        count = len(self.divisions)
        quotient, remainder = z3.Int(f"q{count}"), z3.Int(f"r{count}")
        self.facts += [dividend == quotient * divisor + remainder, remainder >= 0]
        self.facts.append(remainder < divisor)
        self.divisions.append(Division(dividend, divisor, quotient, remainder))
        return quotient


_runs: list[_Run] = []


class Number:
    """An integer that is not known; behaves like an int, in the mirror's operations only."""

    __slots__ = ("term",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, term: z3.ArithRef) -> None:
        self.term = term

    def __repr__(self) -> str:
        return f"Number({self.term})"

    def __add__(self, other: Operand) -> Number:
        return Number(self.term + term_of(other))

    def __radd__(self, other: int) -> Number:
        return Number(other + self.term)

    def __sub__(self, other: Operand) -> Number:
        return Number(self.term - term_of(other))

    def __rsub__(self, other: int) -> Number:
        return Number(other - self.term)

    def __mul__(self, other: Operand) -> Number:
        return Number(self.term * term_of(other))

    def __rmul__(self, other: int) -> Number:
        return Number(other * self.term)

    def __neg__(self) -> Number:
        return Number(-self.term)

    def __floordiv__(self, other: Operand) -> Number:
        return Number(_runs[-1].divide(self.term, term_of(other)))

    def __rfloordiv__(self, other: int) -> Number:
        return Number(_runs[-1].divide(z3.IntVal(other), self.term))

    def __rshift__(self, bits: int) -> Number:
        return self // 2**bits

    def __or__(self, other: Operand) -> Number:
        """Of numbers that are not negative: at least the greater, at most the sum."""
        if isinstance(other, int) and other == 0:
            return self
        run, bits = _runs[-1], z3.Int(f"or{len(_runs[-1].facts)}")
        first, second = self.term, term_of(other)
        run.facts += [bits >= first, bits >= second, bits <= first + second]
        return Number(bits)

    __ror__ = __or__

    def __lt__(self, other: Operand) -> Condition:
        return Condition(self.term < term_of(other))

    def __le__(self, other: Operand) -> Condition:
        return Condition(self.term <= term_of(other))

    def __gt__(self, other: Operand) -> Condition:
        return Condition(self.term > term_of(other))

    def __ge__(self, other: Operand) -> Condition:
        return Condition(self.term >= term_of(other))

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return Condition(self.term == term_of(other))

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return Condition(self.term != term_of(other))

    def __bool__(self) -> bool:
        return bool(self != 0)


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of unknown integers; used as a truth value, it splits the run."""

    term: z3.BoolRef

    def __bool__(self) -> bool:
        return _runs[-1].decide(self.term)


def term_of(value: object) -> z3.ArithRef:
    """Return the solver's term for a Number or an int."""
    return value.term if isinstance(value, Number) else z3.IntVal(value)


def flattened(fact: z3.BoolRef) -> z3.BoolRef:
    """Return the fact with all products multiplied out, so that equal products look equal."""
    return z3.simplify(fact, som=True, sort_sums=True)


def linear_solver() -> z3.Solver:
    """Return a solver to which each product of unknowns is one more unknown.

    It decides quickly, and what it proves holds; what it fails to prove may hold all the same.
    """
    solver = z3.SimpleSolver()
    solver.set("arith.nl", False)
    return solver


def follows(facts: Sequence[z3.BoolRef], conclusion: z3.BoolRef) -> bool:
    """Return whether the solver proves the conclusion at once; False when it cannot say."""
    solver = linear_solver()
    solver.set("rlimit", EFFORT)
    solver.add(*map(flattened, facts), flattened(z3.Not(conclusion)))
    return bool(solver.check() == z3.unsat)


def term_of_truth(value: Condition | bool) -> z3.BoolRef:
    """Return the solver's term for a Condition or a bool."""
    return value.term if isinstance(value, Condition) else z3.BoolVal(value)


def explore(program: Callable[[], T], given: Sequence[z3.BoolRef]) -> Iterator[Path[T]]:
    """Run a program once for each way through it that `given` leaves possible."""
    pending: list[tuple[bool, ...]] = [()]
    while pending:
        run = _Run(given, pending.pop())
        _runs.append(run)
        try:
            outcome: T | RevertError = program()
        except RevertError as error:
            outcome = error
        finally:
            _runs.pop()
        pending += run.others
        yield Path(tuple(run.facts), outcome, tuple(run.divisions))

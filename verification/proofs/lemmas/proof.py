"""What a lemma is, and how it is decided.

A lemma says of one program, which is a piece of ringfence/math on unknown integers, that a claim
holds on every way through it. Non-linear arithmetic over the integers is undecidable, so the solver
is not asked to find a proof: the lemma names the products that it needs (`because`), each of them
an instance of one law that holds for all integers, and what is left is linear in the products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from inspect import cleandoc
from types import ModuleType, SimpleNamespace
from typing import Any, TypeAlias
from unittest.mock import patch

import z3

from ringfence.math.errors import RevertError
from verification.proofs.lemmas.symbolic import (
    Condition,
    Number,
    Operand,
    Path,
    explore,
    flattened,
    linear_solver,
    term_of,
    term_of_truth,
)
from verification.proofs.property import Property, Verdict

Truth: TypeAlias = Condition | bool
Inputs: TypeAlias = SimpleNamespace
"""A program's inputs by name, unknown Numbers or plain ints."""


class LemmaError(Exception):
    """A lemma that is not proved, or a broken one that is not refuted."""


@dataclass(frozen=True, slots=True)
class Program:
    """Code of the mirror, its unknown inputs by name, and what is known of them.

    `given` and `run` take a namespace of the inputs, unknown Numbers or plain ints alike.
    """

    inputs: str
    given: Callable[[Inputs], Iterable[Truth]]
    run: Callable[[Inputs], Any]


@dataclass(frozen=True, slots=True)
class Swap:
    """A mistake in the mirror: `name` of a module stands for something else."""

    module: ModuleType | type
    name: str
    instead: object


@dataclass(frozen=True, slots=True)
class Lemma:
    """A claim about a program, why it holds, and a mistake under which an example refutes it."""

    id: str
    name: str
    statement: str
    program: Program
    claim: Callable[[Inputs, Any], Truth]
    because: Callable[[Inputs, Any, Sequence[Number]], Iterable[Truth]]
    broken: Swap
    example: dict[str, int]


def all_of(*truths: Truth) -> Truth:
    """Return whether all hold."""
    if all(isinstance(truth, bool) for truth in truths):
        return all(truths)
    return Condition(z3.And(*map(term_of_truth, truths)))


def implies(premise: Truth, conclusion: Truth) -> Truth:
    """Return whether the conclusion holds or the premise does not."""
    if isinstance(premise, bool):
        return conclusion if premise else True
    return Condition(z3.Implies(premise.term, term_of_truth(conclusion)))


def scaling(small: Operand, large: Operand, factor: Operand) -> Truth:
    """Multiplying both sides by a factor keeps their order: the one law of products.

    For all integers a, b and t: if t >= 0, a <= b gives a * t <= b * t, and b <= a gives
    b * t <= a * t; if t > 0, the same with < for <=.
    """
    if not any(isinstance(side, Number) for side in (small, large, factor)):
        return True
    a, b, t = term_of(small), term_of(large), term_of(factor)
    return Condition(
        z3.And(
            z3.Implies(z3.And(t >= 0, a <= b), a * t <= b * t),
            z3.Implies(z3.And(t >= 0, b <= a), b * t <= a * t),
            z3.Implies(z3.And(t > 0, a < b), a * t < b * t),
            z3.Implies(z3.And(t > 0, b < a), b * t < a * t),
        )
    )


def entails(facts: Iterable[z3.BoolRef], claim: z3.BoolRef) -> bool:
    """Return whether facts give a claim, by linear arithmetic over the products in them."""
    solver = linear_solver()
    solver.add(*map(flattened, facts), flattened(z3.Not(claim)))
    return bool(solver.check() == z3.unsat)


def prove(lemma: Lemma) -> int:
    """Prove a lemma; return the number of ways through its program.

    Raises LemmaError for the first way on which the claim does not follow. A way that ends in a
    RevertError changes nothing and so claims nothing.
    """
    inputs, paths = ways_through(lemma.program)
    for path in paths:
        _prove_on(lemma, inputs, path)
    if not paths:
        raise LemmaError(f"{lemma.name}: no way through the program returns")
    return len(paths)


@cache
def ways_through(program: Program) -> tuple[Inputs, tuple[Path[Any], ...]]:
    """Return a program's unknown inputs, and every way through it that does not revert."""
    inputs = Inputs(**{name: Number(z3.Int(name)) for name in program.inputs.split()})
    given = [term_of_truth(truth) for truth in program.given(inputs)]
    paths = explore(lambda: program.run(inputs), given)
    return inputs, tuple(path for path in paths if not isinstance(path.outcome, RevertError))


def _prove_on(lemma: Lemma, inputs: Inputs, path: Path[Any]) -> None:
    quotients = [Number(division.quotient) for division in path.divisions]
    reasons = map(term_of_truth, lemma.because(inputs, path.outcome, quotients))
    claim = term_of_truth(lemma.claim(inputs, path.outcome))
    if not entails([*path.facts, *reasons], claim):
        raise LemmaError(f"{lemma.name}: not proved where the program returns {path.outcome}")


def refute(lemma: Lemma) -> None:
    """Show that the lemma can fail: its example keeps it, and breaks it under the mistake.

    An example that reverts keeps it: the mistake may be a guard that is gone. Raises LemmaError
    when the example does not meet what is given, or keeps the broken claim.
    """
    inputs = Inputs(**lemma.example)
    if not all(lemma.program.given(inputs)):
        raise LemmaError(f"{lemma.name}: the example is none: {lemma.example}")
    if not _keeps(lemma, inputs):
        raise LemmaError(f"{lemma.name}: false of {lemma.example}")
    with patch.object(lemma.broken.module, lemma.broken.name, lemma.broken.instead):
        if _keeps(lemma, inputs):
            raise LemmaError(f"{lemma.name}: still true of the broken {lemma.broken.name}")


def _keeps(lemma: Lemma, inputs: Inputs) -> bool:
    """Return whether the claim holds of plain ints, as it does of a call that reverts."""
    try:
        outcome = lemma.program.run(inputs)
    except RevertError:
        return True
    return bool(lemma.claim(inputs, outcome))


Claim: TypeAlias = Callable[[Inputs, Any], Truth]
Reasons: TypeAlias = Callable[[Inputs, Any, Sequence[Number]], Iterable[Truth]]


def lemma(
    id: str,  # noqa: A002
    program: Program,
    *,
    broken: Swap,
    example: dict[str, int],
    because: Reasons = lambda _inputs, _outcome, _quotients: (),
) -> Callable[[Claim], Lemma]:
    """Make a claim a lemma: its name is the function's, its statement the docstring's."""

    def make(claim: Claim) -> Lemma:
        return Lemma(
            id,
            claim.__name__,
            cleandoc(claim.__doc__ or ""),
            program,
            claim,
            because,
            broken,
            example,
        )

    return make


def decide(lemma: Lemma) -> Verdict:
    """Prove a lemma, and refute it under its mistake."""
    try:
        ways = prove(lemma)
        refute(lemma)
    except LemmaError as error:
        return Verdict("unfinished", str(error))
    return Verdict("proved", f"{ways} ways through; refuted with {lemma.broken.name} broken")


def properties(lemmas: Iterable[Lemma]) -> tuple[Property, ...]:
    """Return lemmas as the runner of the proofs takes them."""
    return tuple(
        Property(
            id=f"{each.id}.{each.name}",
            name=each.name.replace("_", " "),
            statement=each.statement.split("\n\n")[0].replace("\n", " "),
            on="integers",
            run=partial(decide, each),
            assumes="field widths, and the factory's bounds on parameters",
            limit=300,
        )
        for each in lemmas
    )

"""The figures: mutants by stratum and outcome, the kill rate with its interval, the survivors."""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from verification.mutants.edits import Mutant
from verification.mutants.run import MutantsError, Stratum
from verification.mutants.suite import KILLED, SURVIVED, TESTED, Result
from verification.mutants.targets import PERIPHERY, TARGET_OF, VAULT

DUPLICATE = "duplicate"
EQUIVALENTS = Path(__file__).with_name("equivalent.toml")
Z = 1.959964
"""The normal distribution's 97.5 % point."""

Name = tuple[str, str, str, str]
"""File, function, lines before, lines after: an edit's name that outlives line numbers."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A kill rate in the whole population with its 95 % interval, from `tested` mutants."""

    killed: int
    tested: int
    rate: float
    low: float
    high: float


def wilson(rate: float, size: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion of `size` draws."""
    middle = rate + Z**2 / (2 * size)
    reach = Z * math.sqrt(rate * (1 - rate) / size + Z**2 / (4 * size**2))
    scale = 1 + Z**2 / size
    return max((middle - reach) / scale, 0.0), min((middle + reach) / scale, 1.0)


def estimate(drawn: Sequence[tuple[Mutant, str]], population: Counter[Stratum]) -> Estimate:
    """Weigh each stratum by its size; the interval is Wilson's at Kish's effective sample size.

    A stratum of N mutants of which n were drawn gives each a weight of N / n. What stratifying
    gains is not credited to the interval, nor that the population is finite: it is too wide
    rather than too narrow. `drawn` pairs mutants with outcomes; invalid ones count in n alone.
    """
    taken = Counter((mutant.file, mutant.function) for mutant, _ in drawn)
    weights = [
        (population[one.file, one.function] / taken[one.file, one.function], outcome != SURVIVED)
        for one, outcome in drawn
        if outcome in TESTED
    ]
    if not weights:
        return Estimate(0, 0, 0.0, 0.0, 1.0)
    total = sum(weight for weight, _ in weights)
    rate = sum(weight for weight, is_killed in weights if is_killed) / total
    low, high = wilson(rate, total**2 / sum(weight**2 for weight, _ in weights))
    return Estimate(sum(is_killed for _, is_killed in weights), len(weights), rate, low, high)


def without_duplicates(results: Iterable[tuple[Mutant, Result]]) -> list[tuple[Mutant, Result]]:
    """Have the second and every further mutant of the same code count as a duplicate."""
    seen: set[tuple[str, str]] = set()
    single: list[tuple[Mutant, Result]] = []
    for mutant, result in results:
        code = TARGET_OF[mutant.file].stem, result.code
        is_double = result.outcome in TESTED and bool(result.code) and code in seen
        seen.add(code)
        single.append((mutant, Result(DUPLICATE, "", result.code) if is_double else result))
    return single


def name_of(mutant: Mutant) -> Name:
    return mutant.file, mutant.function, *mutant.lines()


def read_equivalents(mutants: Iterable[Mutant], path: Path = EQUIVALENTS) -> dict[Name, str]:
    """Return the mutants argued equivalent, and why; raise when one is no mutant any more."""
    entries = tomllib.loads(path.read_text()).get("equivalent", [])
    known = {name_of(mutant) for mutant in mutants}
    arguments: dict[Name, str] = {}
    for entry in entries:
        before, after = entry["before"].strip("\n"), entry["after"].strip("\n")
        name = entry["file"], entry["function"], before, after
        if name not in known:
            raise MutantsError(
                f"{path.name}: {name[0]} {name[1]} has no mutant {after!r} any more; "
                "bring the entry up to date or take it out"
            )
        arguments[name] = entry["argument"].strip()
    return arguments


def check_argued(results: Iterable[tuple[Mutant, Result]], arguments: dict[Name, str]) -> None:
    """Raise when a mutant that is argued equivalent was killed."""
    for mutant, result in results:
        if result.outcome == KILLED and name_of(mutant) in arguments:
            raise MutantsError(
                f"{EQUIVALENTS.name}: {mutant.file} {mutant.function}, argued equivalent, is "
                f"killed by {result.killer}; take the entry out"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A group's figures: outcomes, the rate over all, and the rate without argued equivalents.

    Of the latter also what it was at the first look, before tests were written for survivors.
    """

    outcomes: Counter[str]
    rate: Estimate
    without_equivalents: Estimate
    at_first_look: Estimate


def judge_group(
    results: Sequence[tuple[Mutant, Result]],
    population: Counter[Stratum],
    arguments: dict[Name, str],
    groups: tuple[str, ...] = (VAULT, PERIPHERY),
    first: Mapping[str, Result] = MappingProxyType({}),
) -> Verdict:
    """Count the mutants whose contracts belong to `groups`."""
    here = [(one, result) for one, result in results if TARGET_OF[one.file].group in groups]
    plain = [(one, result.outcome) for one, result in here]
    argued = [
        (one, "equivalent" if outcome == SURVIVED and name_of(one) in arguments else outcome)
        for one, outcome in plain
    ]
    at_first = [
        (one, first[one.key].outcome if outcome in TESTED and one.key in first else outcome)
        for one, outcome in argued
    ]
    return Verdict(
        Counter(outcome for _, outcome in plain),
        estimate(plain, population),
        estimate(argued, population),
        estimate(at_first, population),
    )

"""The sample's order, and the figures that are drawn from it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from verification.mutants.edits import Mutant
from verification.mutants.run import MutantsError, Progress, in_sample_order
from verification.mutants.suite import IDENTICAL, INVALID, KILLED, SURVIVED, TIMEOUT, Result
from verification.mutants.verdict import (
    DUPLICATE,
    check_argued,
    estimate,
    judge_group,
    name_of,
    read_equivalents,
    wilson,
    without_duplicates,
)

VAULT_FILE, RATE_FILE = "MarginVault.vy", "rates/KinkedRate.vy"


def mutants(function: str, count: int, file: str = VAULT_FILE) -> list[Mutant]:
    return [Mutant(file, function, at, at + 1, "?", "none") for at in range(count)]


POPULATION = mutants("large", 300) + mutants("middle", 90) + mutants("small", 2)


def test_in_sample_order__same_seed__same_order() -> None:
    order = in_sample_order(POPULATION, 1)
    assert order == in_sample_order(list(reversed(POPULATION)), 1)
    assert order != in_sample_order(POPULATION, 2)
    assert sorted(order) == sorted(POPULATION)


@pytest.mark.parametrize("size", [3, 40, 131, 392])
def test_in_sample_order__any_beginning__is_stratified(size: int) -> None:
    taken = Counter(one.function for one in in_sample_order(POPULATION, 7)[:size])
    assert set(taken) == {"large", "middle", "small"}
    for function, total in (("large", 300), ("middle", 90), ("small", 2)):
        assert abs(taken[function] - size * total / 392) <= 2


def test_wilson__known_values__agree() -> None:
    low, high = wilson(0.95, 400)
    assert (round(low, 4), round(high, 4)) == (0.924, 0.9674)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_estimate__strata_drawn_unevenly__are_weighed_by_their_size() -> None:
    population = Counter({(VAULT_FILE, "large"): 90, (VAULT_FILE, "small"): 10})
    drawn = [(one, KILLED) for one in mutants("large", 9)]
    drawn += [(one, SURVIVED) for one in mutants("small", 10)]
    result = estimate(drawn, population)
    assert (result.killed, result.tested) == (9, 19)
    assert result.rate == pytest.approx(0.9)
    # Weights 10 (nine times) and 1 (ten times): 100**2 / 910 draws' worth.
    assert (result.low, result.high) == pytest.approx(wilson(0.9, 10_000 / 910))


def test_estimate__invalid_identical_and_double__are_not_tested() -> None:
    population = Counter({(VAULT_FILE, "large"): 6})
    outcomes = [KILLED, TIMEOUT, SURVIVED, INVALID, IDENTICAL, DUPLICATE]
    result = estimate(list(zip(mutants("large", 6), outcomes, strict=True)), population)
    assert (result.killed, result.tested) == (2, 3)


def test_without_duplicates__same_code_twice__counts_once() -> None:
    first, second, third = mutants("large", 3)
    other = mutants("base", 1, RATE_FILE)[0]
    results = [
        (first, Result(KILLED, "a test", "code")),
        (second, Result(KILLED, "a test", "code")),
        (third, Result(SURVIVED, "", "another")),
        (other, Result(KILLED, "a test", "code")),
    ]
    outcomes = [result.outcome for _, result in without_duplicates(results)]
    assert outcomes == [KILLED, DUPLICATE, SURVIVED, KILLED]


def test_judge_group__argued_survivor__is_left_out_of_the_second_rate_only() -> None:
    killed, argued = mutants("adjust", 2)
    results = [(killed, Result(KILLED)), (argued, Result(SURVIVED))]
    population = Counter({(VAULT_FILE, "adjust"): 2})
    verdict = judge_group(results, population, {name_of(argued): "because"})
    assert verdict.rate.rate == 0.5
    assert verdict.without_equivalents.rate == 1.0
    assert judge_group(results, population, {}, ("periphery",)).rate.tested == 0


def test_judge_group__killed_by_a_later_test__survived_at_the_first_look() -> None:
    one, other = mutants("adjust", 2)
    results = [(one, Result(KILLED)), (other, Result(KILLED))]
    population = Counter({(VAULT_FILE, "adjust"): 2})
    first = {one.key: Result(SURVIVED)}
    verdict = judge_group(results, population, {}, first=first)
    assert verdict.rate.rate == 1.0
    assert verdict.at_first_look.rate == 0.5


def test_check_argued__killed_after_all__is_an_error() -> None:
    mutant = mutants("adjust", 1)[0]
    with pytest.raises(MutantsError, match="argued equivalent, is killed by a test"):
        check_argued([(mutant, Result(KILLED, "a test"))], {name_of(mutant): "because"})


def test_read_equivalents__no_mutant_any_more__is_an_error(tmp_path: Path) -> None:
    mutant = mutants("adjust", 1)[0]
    before, after = mutant.lines()
    entry = '[[equivalent]]\nfile = "{}"\nfunction = "adjust"\nbefore = {!r}\nafter = {!r}\n'
    path = tmp_path / "equivalent.toml"
    path.write_text(entry.format(mutant.file, before, after) + 'argument = "because"')
    assert read_equivalents([mutant], path) == {name_of(mutant): "because"}
    with pytest.raises(MutantsError, match="bring the entry up to date"):
        read_equivalents([], path)


def test_progress__taken_up_again__knows_all_but_the_survivors(tmp_path: Path) -> None:
    killed, survived = mutants("adjust", 2)
    progress = Progress(tmp_path / "run.jsonl")
    progress.add(killed, Result(KILLED, "a test", "code", 1.5))
    progress.add(survived, Result(SURVIVED))
    again = Progress(tmp_path / "run.jsonl")
    assert again.results == {killed.key: Result(KILLED, "a test", "code", 1.5)}
    again.add(survived, Result(KILLED, "a new test"))
    assert again.first[survived.key].outcome == SURVIVED

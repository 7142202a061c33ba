"""The command: a killed and a surviving mutant told apart, and arguments that make no sense."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from verification.mutants.__main__ import main
from verification.mutants.edits import Mutant, mutants_of
from verification.mutants.run import (
    MutantsError,
    Pool,
    Progress,
    go_through,
    originals_of,
    sound_seconds,
)
from verification.mutants.suite import IDENTICAL, INVALID, KILLED, SURVIVED, Result, Suite
from verification.mutants.targets import CONTRACTS, TARGET_OF, Target

CURVE = "rates/kinked_curve.vy"


class OneTest(Suite):
    """A suite of one test: half lent out, a market pays the base and half a slope."""

    def __init__(self) -> None:
        super().__init__([])

    def killer(self, target: Target) -> str:
        from ringfence.evm import InProcessEngine, load

        model = InProcessEngine().deploy(load(target.stem), 100, 9 * 10**17, 1_000, 1_000)
        return "" if model.borrow_rate(10**6, 10**6) == 600 else "half lent out"


def edit(before: str, after: str) -> Mutant:
    source = (CONTRACTS / CURVE).read_text()
    start = source.index(before)
    return Mutant(CURVE, "_utilisation_down", start, start + len(before), after, "none")


class OutOfMemory(Suite):
    """A suite whose process the system kills."""

    def __init__(self) -> None:
        super().__init__([])

    def killer(self, target: Target) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


def test_go_through__process_killed_by_the_system__is_no_killed_mutant(tmp_path: Path) -> None:
    pool = Pool(OutOfMemory(), originals_of([TARGET_OF[CURVE]]), 1)
    progress = Progress(tmp_path / "run.jsonl")
    with pytest.raises(MutantsError, match="tells nothing of the mutant"):
        go_through([edit("debt == 0", "debt == 1")], 1, pool, progress, lambda *_: None)
    assert progress.results == {}


def test_go_through__four_kinds_of_mutants__tells_them_apart(tmp_path: Path) -> None:
    order = [
        edit("return debt * WAD // (cash + debt)", "return debt * WAD // (cash - debt)"),
        edit("debt == 0", "debt == 1"),
        edit("debt * WAD", "(debt * WAD)"),
        edit("debt == 0", "no such name"),
    ]
    pool = Pool(OneTest(), originals_of([TARGET_OF[CURVE]]), 2)
    heard: list[int] = []

    def tell(tested: int, _mutant: Mutant, _result: Result) -> None:
        heard.append(tested)

    results = go_through(order, 4, pool, Progress(tmp_path / "run.jsonl"), tell)
    outcomes = [result.outcome for _, result in results]
    assert outcomes == [KILLED, SURVIVED, IDENTICAL, INVALID]
    assert len(heard) == 4
    assert max(heard) == 2
    assert results[0][1].killer != ""


def test_go_through__size_reached__draws_no_more(tmp_path: Path) -> None:
    order = mutants_of(CURVE)
    pool = Pool(OneTest(), originals_of([TARGET_OF[CURVE]]), 2)
    progress = Progress(tmp_path / "run.jsonl")
    results = go_through(order, 3, pool, progress, lambda *_: None)
    tested = [one for one, result in results if result.outcome in (KILLED, SURVIVED)]
    assert len(tested) >= 3
    assert [one for one, _ in results] == order[: len(results)]


def test_sound_seconds__suite_fails_as_it_is__says_by_which_test() -> None:
    class Failing(OneTest):
        def killer(self, target: Target) -> str:
            return f"a test of {target.stem}"

    pool = Pool(Failing(), {}, 2)
    with pytest.raises(MutantsError, match="the suite fails on KinkedRate as it is: a test of"):
        sound_seconds(pool, [TARGET_OF[CURVE]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sample", "0"), "--sample is 0 (limit: 1 or more); give more"),
        (("--workers", "-1"), "--workers is -1 (limit: 1 or more); give more"),
        (("--only", "modules/none.vy"), "--only modules/none.vy is no source that is mutated"),
    ],
)
def test_command__bad_argument__says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["verification.mutants", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]

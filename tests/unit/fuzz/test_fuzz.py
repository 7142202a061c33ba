"""The fuzzer finds what is broken, cuts it down, prints a test, and says the same twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ringfence.evm.artifacts import ROOT, Artifact, load
from tests.support.broken import Break, load_broken
from tests.support.model import pair, play, twin
from tests.support.model.play import BrokenRunError, Ground
from verification.fuzz import __main__ as fuzz_command
from verification.fuzz.__main__ import main
from verification.fuzz.branches import conditional_jumps, jumps
from verification.fuzz.coverage import Coverage
from verification.fuzz.episodes import Episode, episodes, lockstep, run
from verification.fuzz.lockstep import LockstepEngine
from verification.fuzz.regression import regression_test
from verification.fuzz.unreachable import UNREACHABLE, unreachable

ROUNDED_DOWN = Break(
    "modules/health.vy",
    "return fixed_point._div_up(unsafe_mul(amount, fixed_point.WAD), debt_index)",
    "return unsafe_div(unsafe_mul(amount, fixed_point.WAD), debt_index)",
)
UNLOCKED_CAP = Break(
    "modules/authority.vy", "supply_cap > fields.supply_cap or debt_cap", "debt_cap"
)

UNTRUE_EVENT = Break(
    "MarginVault.vy",
    "log IMarginVault.ToppedUp(position_id=position_id, amount=amount,",
    "log IMarginVault.ToppedUp(position_id=position_id, amount=amount + 1,",
)


def _run_regression(source: str) -> None:
    names: dict[str, object] = {}
    exec(compile(source, "regression", "exec"), names)
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    assert callable(test)
    test()


def _play_all(broken: Artifact) -> None:
    for episode in episodes(40 * 400, 1):
        run(Episode(episode.seed, 400, on_anvil=False), Ground(code=broken))


def test_step__an_event_that_tells_an_untrue_amount__is_found_at_once() -> None:
    broken = Ground(code=load_broken("MarginVault", UNTRUE_EVENT))
    with pytest.raises(BrokenRunError, match="event data") as caught:
        run(Episode(1, 400, on_anvil=False), broken)
    *_before, last = caught.value.actions
    assert last.name == "top_up"


@pytest.mark.parametrize("guard", [ROUNDED_DOWN, UNLOCKED_CAP], ids=lambda guard: guard.file)
def test_run__a_broken_vault__is_found_cut_down_and_printed_as_a_test(
    guard: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = load_broken("MarginVault", guard)
    monkeypatch.setattr(play, "SHRINK_SECONDS", 20.0)
    with pytest.raises(BrokenRunError) as caught:
        _play_all(broken)
    assert len(caught.value.actions) < 60

    source = regression_test(caught.value)
    _run_regression(source)

    def load_one(stem: str) -> Artifact:
        return broken if stem == "MarginVault" else load(stem)

    monkeypatch.setattr(pair, "load", load_one)
    with pytest.raises(AssertionError):
        _run_regression(source)


def test_run__the_same_seed__plays_and_reaches_the_same() -> None:
    one, two = (run(Episode(7, 60, on_anvil=False)) for _ in range(2))
    assert one == two
    assert one.digest != run(Episode(23, 60, on_anvil=False)).digest


def test_run__on_anvil__equals_the_run_in_process() -> None:
    both = run(Episode(7, 30, on_anvil=True))
    alone = run(Episode(7, 30, on_anvil=False))
    assert (both.counts, both.digest) == (alone.counts, alone.digest)
    assert both.branches >= alone.branches


def test_lockstep__a_word_that_anvil_lacks__is_a_mismatch() -> None:
    with lockstep() as ground:
        engine = ground.engine()
        assert isinstance(engine, LockstepEngine)
        model = twin.Twin(play.SETTINGS[0], engine)
        engine.node.set_storage(
            model.asset, load("TestToken").slot("plain_erc20", "totalSupply"), 5
        )
        with pytest.raises(pair.MismatchError, match="anvil"):
            model.asset.mint(model.signers[0], 1)


def test_episodes__any_seed__replay_one_in_fifty() -> None:
    drawn = episodes(100_000, 3)
    assert sum(one.steps for one in drawn) == 100_000
    assert sum(one.on_anvil for one in drawn) == len(drawn) // 50
    assert drawn == episodes(100_000, 3)
    assert [one.on_anvil for one in drawn] != [one.on_anvil for one in episodes(100_000, 4)]


def test_conditional_jumps__a_push_of_the_same_byte__is_no_jump() -> None:
    assert conditional_jumps(bytes.fromhex("6157575760575f57")) == [3, 7]


def test_coverage__nothing_played__misses_everything() -> None:
    figures = Coverage().figures()
    assert figures["branches_reached"] == 0
    excluded = sum(map(len, figures["branches_unreachable"].values()))
    assert len(figures["branches_missed"]) == figures["branches"] - excluded
    assert "adjust" in figures["calls_never_succeeded"]
    assert "position is healthy" in figures["reasons_missed"]


def test_unreachable__the_committed_bytecode__has_one_branch_for_each_rule() -> None:
    rules = [rule for each in UNREACHABLE.values() for rule in each]
    assert len(unreachable(jumps("MarginVault"))) == len(rules)


def test_unreachable__code_without_such_a_branch__is_refused() -> None:
    known = jumps("MarginVault")
    [first, *_] = unreachable(known)
    with pytest.raises(ValueError, match="fits 0 branches"):
        unreachable({at: jump for at, jump in known.items() if at != first[0]})


def test_main__an_excluded_branch_was_reached__is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [first, *_] = unreachable(jumps("MarginVault"))
    monkeypatch.setattr(fuzz_command, "fuzz", lambda *_: Coverage())
    assert main(["--steps", "1"]) == 0
    monkeypatch.setattr(fuzz_command, "fuzz", lambda *_: Coverage(branches={first}))
    assert main(["--steps", "1"]) == 1
    assert f"excludes: {first[0]:#06x}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--steps", "many"], "'many' is no whole number of steps (limits 1 and 1,000,000,000)"),
        (["--steps", "0"], "'0' is no whole number of steps (limits 1 and 1,000,000,000)"),
        (
            ["--steps", "9", "--workers", "0"],
            "'0' is no whole number of processes (limits 1 and 64",
        ),
        ([], "the following arguments are required: --steps"),
    ],
)
def test_main__bad_arguments__gives_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def _all_end(group: int, seconds: float = 30.0) -> bool:
    """Return whether every process of a group is gone, waiting for those on their way out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_command__interrupted__says_so_in_one_line() -> None:
    command = [sys.executable, "-m", "verification.fuzz", "--steps", "1_000_000", "--seed", "3"]
    run = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert run.stderr is not None
    first = run.stderr.readline()
    os.killpg(run.pid, signal.SIGINT)
    _, rest = run.communicate(timeout=60)
    assert first.startswith("fuzz: "), first
    assert rest == "fuzz: interrupted; the same seed starts over\n"
    assert run.returncode == 1
    assert _all_end(run.pid), "a process of the run is left"

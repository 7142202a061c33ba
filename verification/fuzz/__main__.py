"""`python -m verification.fuzz`: random calls on the vault and its mirror, in lockstep."""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import platform
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typing_extensions import override

from ringfence.evm.artifacts import ROOT
from tests.support.model.play import BrokenRunError, Record
from verification.fuzz.coverage import Coverage
from verification.fuzz.episodes import Episode, episodes, run
from verification.fuzz.regression import regression_test
from verification.sources import digest_of_sources

PROGRAM = "python -m verification.fuzz"
LINE_SECONDS = 15.0
MOST_WORKERS = 64
FIGURES = ROOT / "verification" / "fuzz.json"
WORTH_KEEPING = 1_000_000
"""Steps from which on a run's figures take the place of the last ones."""

Outcome = tuple[Episode, Record | BrokenRunError]


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"fuzz: {message}; try make fuzz STEPS=200_000\n")


def _whole(least: int, most: int, what: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            limits = f"(limits {least:,} and {most:,})"
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number {what} {limits}")
        return number

    return read


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with one line when it is wrong."""
    parser = _Parser(prog=PROGRAM, description=__doc__, allow_abbrev=False)
    steps, seed = _whole(1, 10**9, "of steps"), _whole(0, 2**31, "for a seed")
    parser.add_argument("--steps", type=steps, required=True, help="random calls, 1_000_000 say")
    parser.add_argument("--seed", type=seed, default=1, help="the same seed plays the same run")
    parser.add_argument(
        "--workers", type=_whole(1, MOST_WORKERS, "of processes"), default=2, help="processes"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args(arguments)


def _begin_worker() -> None:
    """Let a worker that is told to stop take its anvil down with it; an interrupt is not for it.

    What was imported stays: garbage is no longer looked for there, 3 % of the time.
    """
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def play_one(episode: Episode) -> Outcome:
    """Play an episode in a worker; a failure comes back as a value."""
    try:
        return episode, run(episode)
    except BrokenRunError as error:
        return episode, error


@contextmanager
def _progress(steps: int, console: Console) -> Iterator[Any]:
    """Yield what is told of each episode played: a bar on a terminal, now and then a line."""
    done, started, told = 0, time.monotonic(), time.monotonic()
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("fuzz", total=steps)

        def tell(played: int) -> None:
            nonlocal done, told
            done += played
            bar.update(task, advance=played)
            now = time.monotonic()
            if not console.is_terminal and now - told > LINE_SECONDS:
                told = now
                rate = done / (now - started)
                console.print(f"fuzz: {done:,} of {steps:,} steps, {rate:,.0f} a second")

        yield tell


def fuzz(steps: int, seed: int, workers: int, console: Console) -> Coverage | Outcome:
    """Play a run; return what it reached, or the first episode that failed."""
    coverage = Coverage()
    jobs = sorted(episodes(steps, seed), key=lambda one: not one.on_anvil)
    with multiprocessing.Pool(workers, _begin_worker) as pool, _progress(steps, console) as tell:
        for episode, result in pool.imap_unordered(play_one, jobs):
            if isinstance(result, BrokenRunError):
                return episode, result
            coverage.add(episode, result)
            tell(episode.steps)
    return coverage


def branch_counts(figures: dict[str, Any]) -> str:
    """Return how many branches were reached, cannot be, and were missed."""
    excluded = sum(map(len, figures["branches_unreachable"].values()))
    return (
        f"branches: {figures['branches_reached']} of {figures['branches']} reached, "
        f"{excluded} cannot be, {len(figures['branches_missed'])} open"
    )


def _show(figures: dict[str, Any]) -> None:
    for name, outcomes in figures["calls"].items():
        told = ", ".join(f"{reason} {count:,}" for reason, count in outcomes.items())
        print(f"  {name}: {told}")
    for name, count in figures["situations"].items():
        print(f"  {name}: {count:,}")
    for reason in figures["reasons_missed"]:
        print(f"reason never met: {reason}")
    for branch in figures["branches_missed"]:
        print(f"branch never reached: {branch}")
    for why, branches in figures["branches_unreachable"].items():
        print(f"branches that cannot be reached, {len(branches)}: {why}")
    print(
        f"{figures['steps']:,} steps in {figures['seconds']:,.0f} s, "
        f"{figures['steps_a_second']:,.0f} a second; {figures['anvil_steps']:,} on anvil too; "
        f"{branch_counts(figures)}; no difference"
    )


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    options = parse(arguments)
    started = time.monotonic()
    result = fuzz(options.steps, options.seed, options.workers, Console(stderr=True))
    if not isinstance(result, Coverage):
        episode, error = result
        print(f"{error}\n", file=sys.stderr)
        print(regression_test(error, on_anvil=episode.on_anvil))
        return 1
    seconds = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = result.figures() | {
        "seed": options.seed,
        "workers": options.workers,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "steps_a_second": round(result.steps / seconds),
        "sources": digest_of_sources(),
        "machine": f"{multiprocessing.cpu_count()} cores, {platform.machine()}",
        "versions": {name: version(name) for name in ("vyper", "verbs", "py-evm")}
        | {"python": platform.python_version()},
    }
    if options.steps >= WORTH_KEEPING:
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        _show(figures)
    for branch in figures["branches_contradicted"]:
        print(f"fuzz: branch reached that unreachable.py excludes: {branch}", file=sys.stderr)
    return 1 if figures["branches_contradicted"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("fuzz: interrupted; the same seed starts over")

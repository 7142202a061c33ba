"""Run the proofs: `python -m verification.proofs [--only PATTERN] [--json]`.

Ends with 1 unless every property came out as expected. A whole run writes verification/proofs.json.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import os
import pkgutil
import platform
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from verification.proofs.property import Property, Verdict
from verification.proofs.worker import work
from verification.sources import PROOFS, digest_of_sources

_FIGURES = Path(__file__).resolve().parents[1] / "proofs.json"
_PACKAGES = ("verification.proofs.bytecode", "verification.proofs.lemmas")
_WORKERS = 2
_RUNNING: set[BaseProcess] = set()
"""What an interrupt has to end: the workers themselves do not listen to it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A property's verdict and its time, seconds."""

    claim: Property
    verdict: Verdict
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the verdict is what was expected; a proof is welcome where none was."""
        found, expected = self.verdict.status, self.claim.expect
        return found == expected or (expected, found) == ("unfinished", "proved")

    def figures(self) -> dict[str, object]:
        """Return what the figures file and `--json` hold of it."""
        claim = self.claim
        return {
            "id": claim.id,
            "name": claim.name,
            "statement": claim.statement,
            "on": claim.on,
            "assumes": claim.assumes,
            "expected": claim.expect,
            "verdict": self.verdict.status,
            "detail": self.verdict.detail,
            "seconds": round(self.seconds, 1),
        }


def discover() -> dict[str, tuple[str, Property]]:
    """Return module and property by id; raise ValueError where two share one."""
    found: dict[str, tuple[str, Property]] = {}
    for package in _PACKAGES:
        for entry in pkgutil.iter_modules(importlib.import_module(package).__path__):
            module = f"{package}.{entry.name}"
            for claim in getattr(importlib.import_module(module), "PROPERTIES", ()):
                if claim.id in found:
                    raise ValueError(f"{claim.id} stands in {found[claim.id][0]} and in {module}")
                found[claim.id] = (module, claim)
    return found


def run_one(module: str, claim: Property) -> Outcome:
    """Run a property in a process of its own, ended at its limit: a busy machine fails no proof."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=work, args=(module, claim.id, claim.limit, sender))
    start = time.monotonic()
    worker.start()
    _RUNNING.add(worker)
    sender.close()
    try:
        verdict = receiver.recv()
    except EOFError:
        worker.join()
        late = worker.exitcode == -signal.SIGXCPU
        told = f"not done in {claim.limit} s of processor time" if late else "the worker died"
        verdict = Verdict("unfinished", told)
    finally:
        worker.kill()
        worker.join()
        _RUNNING.discard(worker)
    return Outcome(claim, verdict, time.monotonic() - start)


def _line(outcome: Outcome) -> str:
    claim, verdict = outcome.claim, outcome.verdict
    mark = "FAIL" if not outcome.holds else "ok  " if verdict.status != "unfinished" else "open"
    detail = f" [{verdict.detail}]" if verdict.detail else ""
    return (
        f"{mark} {outcome.seconds:6.1f} s  {claim.id} ({claim.on}): {claim.statement}: "
        f"{verdict.status}{detail}"
    )


def run_all(chosen: Iterable[tuple[str, Property]], console: Console) -> list[Outcome]:
    """Run properties two at a time, a line each as they end."""
    todo = list(chosen)
    with (
        ThreadPoolExecutor(_WORKERS) as pool,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("proofs", total=len(todo))
        done = []
        try:
            for future in as_completed([pool.submit(run_one, *each) for each in todo]):
                done.append(future.result())
                line = _line(done[-1])
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
                progress.advance(bar)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in tuple(_RUNNING):
                worker.kill()
            sys.exit(
                f"make prove: interrupted after {len(done)} of {len(todo)} properties, nothing is "
                "written; run it again, or a part of it: make prove ONLY='PACK*'"
            )
    return sorted(done, key=lambda outcome: outcome.claim.id)


def _tally(outcomes: Sequence[Outcome]) -> str:
    """Return how many came out how; one that did not end is not counted as proved."""
    found = Counter(outcome.verdict.status for outcome in outcomes if outcome.holds)
    open_ = sum(outcome.verdict.status == "unfinished" for outcome in outcomes)
    return (
        f"{found['proved']} proved, {found['refuted']} refuted as they must be, "
        f"{open_} not finished"
    )


def _report(outcomes: Sequence[Outcome], seconds: float) -> dict[str, object]:
    return {
        "seconds": round(seconds, 1),
        "workers": _WORKERS,
        "sources": digest_of_sources(PROOFS),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("vyper", "z3-solver")},
        },
        "properties": [outcome.figures() for outcome in outcomes],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m verification.proofs", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--only", metavar="PATTERN", help="ids that match, as 'ISO-1*'")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    claims = discover()
    chosen = [claims[name] for name in claims if fnmatch.fnmatchcase(name, options.only or "*")]
    if not chosen:
        families = ", ".join(sorted({name.partition(".")[0] for name in claims}))
        sys.stderr.write(
            f"make prove: {options.only!r} matches none of {len(claims)} properties; they begin "
            f"with {families}; try ONLY='PACK*'\n"
        )
        return 2
    console = Console(stderr=options.json)
    start = time.monotonic()
    outcomes = run_all(chosen, console)
    report = _report(outcomes, time.monotonic() - start)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if options.json:
        sys.stdout.write(text)
    if options.only is None:
        _FIGURES.write_text(text)
    bad = [outcome.claim.id for outcome in outcomes if not outcome.holds]
    console.print(f"{_tally(outcomes)} in {report['seconds']} s")
    if bad:
        console.print(f"not as expected: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

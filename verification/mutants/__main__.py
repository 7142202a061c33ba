"""`make mutants`: try a sample of mutants, write verification/mutants.json; exit 1 below 95 %."""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ringfence.evm.artifacts import ROOT
from verification.mutants.edits import Mutant
from verification.mutants.run import (
    MutantsError,
    Pool,
    Progress,
    all_mutants,
    go_through,
    in_sample_order,
    originals_of,
    sound_seconds,
)
from verification.mutants.suite import SURVIVED, TESTED, Result, Suite, with_suite
from verification.mutants.targets import PERIPHERY, TARGET_OF, TARGETS, VAULT
from verification.mutants.verdict import (
    Estimate,
    Name,
    Verdict,
    check_argued,
    judge_group,
    name_of,
    read_equivalents,
    without_duplicates,
)
from verification.sources import digest_of_sources

RESULT = ROOT / "verification" / "mutants.json"
AIM = 0.95
LEAST_SAMPLE = 400
GROUPS = {"vault": (VAULT,), "periphery": (PERIPHERY,), "all": (VAULT, PERIPHERY)}
Results = list[tuple[Mutant, Result]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verification.mutants",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--sample", type=int, default=LEAST_SAMPLE, help="mutants to try")
    parser.add_argument("--all", action="store_true", help="try every mutant")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument(
        "--only", metavar="FILE", help="one source below contracts/; writes nothing"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    parser.add_argument("--fresh", action="store_true", help="forget what out/mutants/ knows")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.only is not None and options.only not in TARGET_OF:
        near = difflib.get_close_matches(options.only, TARGET_OF, n=1, cutoff=0)
        parser.exit(
            2,
            f"make mutants: --only {options.only} is no source that is mutated, of "
            f"{len(TARGET_OF)} below contracts/; is it {near[0]}?\n",
        )
    for name in ("sample", "workers"):
        if getattr(options, name) <= 0:
            value = getattr(options, name)
            parser.exit(2, f"make mutants: --{name} is {value} (limit: 1 or more); give more\n")
    return options


def _show(console: Console, total: int, work: Callable[[Any], Results]) -> Results:
    """Run `work` under a progress bar, or with plain lines where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console, auto_refresh=False) as bar:
        task = bar.add_task("mutants", total=total)
        outcomes: Counter[str] = Counter()

        def tell(tested: int, mutant: Mutant, result: Result) -> None:
            outcomes[result.outcome] += 1
            counts = ", ".join(f"{count} {name}" for name, count in outcomes.items())
            if console.is_terminal:
                bar.update(task, completed=tested, description=counts, refresh=True)
            elif tested % 20 == 0:
                console.print(f"{tested} of {total}: {counts}")
            if result.outcome == SURVIVED:
                console.print(f"survived: contracts/{mutant.file}:{mutant.line} {mutant.operator}")

        return work(tell)


@dataclass(slots=True)
class _Trial:
    """What a run found: each mutant drawn, what it was when first tried, the suites' seconds."""

    results: Results = field(default_factory=list)
    first: dict[str, Result] = field(default_factory=dict)
    suite_seconds: dict[str, float] = field(default_factory=dict)


def _try(options: argparse.Namespace, order: list[Mutant], console: Console) -> _Trial:
    files = [options.only] if options.only else list(TARGET_OF)
    targets = [target for target in TARGETS if set(target.files) & set(files)]
    path = ROOT / "out" / "mutants" / f"{options.seed}-{digest_of_sources()}.jsonl"
    if options.fresh:
        path.unlink(missing_ok=True)
    trial = _Trial()
    size = len(order) if options.all else min(options.sample, len(order))

    def work(suite: Suite) -> None:
        pool = Pool(suite, originals_of(targets), options.workers)
        try:
            trial.suite_seconds = sound_seconds(pool, targets)
            progress = Progress(path)
            drawn = _show(console, size, lambda tell: go_through(order, size, pool, progress, tell))
            trial.results, trial.first = without_duplicates(drawn), progress.first
        finally:
            pool.stop()

    if not with_suite(targets, work):
        raise MutantsError("the tests cannot be collected; make `make test` pass first")
    return trial


def _rate(one: Estimate) -> dict[str, float | int]:
    return {name: round(value, 4) for name, value in asdict(one).items()}


def _as_json(
    results: Results,
    verdicts: dict[str, Verdict],
    population: Counter[Any],
    arguments: dict[Name, str],
) -> dict[str, Any]:
    by_function: dict[str, dict[str, Counter[str]]] = {}
    for mutant, result in results:
        functions = by_function.setdefault(mutant.file, {})
        functions.setdefault(mutant.function, Counter())[result.outcome] += 1
    return {
        "rates": {
            name: {
                "outcomes": dict(sorted(one.outcomes.items())),
                "killed": _rate(one.rate),
                "killed_without_equivalents": _rate(one.without_equivalents),
                "killed_at_first_look": _rate(one.at_first_look),
            }
            for name, one in verdicts.items()
        },
        "survivors": [
            {
                "file": mutant.file,
                "function": mutant.function,
                "line": mutant.line,
                "operator": mutant.operator,
                "before": mutant.lines()[0],
                "after": mutant.lines()[1],
                "equivalent": arguments.get(name_of(mutant)),
            }
            for mutant, result in sorted(results, key=lambda one: one[0])
            if result.outcome == SURVIVED
        ],
        "strata": {
            file: {
                function: {"mutants": population[file, function], **dict(sorted(counts.items()))}
                for function, counts in sorted(functions.items())
            }
            for file, functions in sorted(by_function.items())
        },
    }


def _machine() -> dict[str, Any]:
    names = ("vyper", "verbs", "pytest", "hypothesis")
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def _print(console: Console, verdicts: dict[str, Verdict], figures: dict[str, Any]) -> None:
    for one in figures["survivors"]:
        kind = "equivalent" if one["equivalent"] else "survived"
        console.print(f"{kind}: contracts/{one['file']}:{one['line']} {one['function']}")
        for sign, text in (("-", one["before"]), ("+", one["after"])):
            console.print(
                "\n".join(f"    {sign} {line}" for line in text.splitlines()), markup=False
            )
    for name, verdict in verdicts.items():
        for title, one in (
            ("killed", verdict.rate),
            ("killed, argued equivalents left out", verdict.without_equivalents),
            ("killed at the first look", verdict.at_first_look),
        ):
            console.print(
                f"{name}: {title}: {one.killed} of {one.tested}, "
                f"{one.rate:.1%} (95 %: {one.low:.1%} to {one.high:.1%})",
                highlight=False,
            )


def main() -> int:
    """Run; return the exit code."""
    options = _arguments()
    out = sys.stderr if options.json else sys.stdout
    console = Console(file=out, width=None if out.isatty() else 120)
    started = time.monotonic()
    everything = all_mutants(list(TARGET_OF))
    arguments = read_equivalents(everything)
    mutants = [one for one in everything if options.only in (None, one.file)]
    population = Counter((one.file, one.function) for one in mutants)
    trial = _try(options, in_sample_order(mutants, options.seed), console)
    check_argued(trial.results, arguments)
    verdicts = {
        name: judge_group(trial.results, population, arguments, groups, trial.first)
        for name, groups in GROUPS.items()
    }
    figures = {
        "seed": options.seed,
        "sources": digest_of_sources(),
        "mutants": len(mutants),
        "functions": len(population),
        "suite_seconds": trial.suite_seconds,
        "seconds": round(time.monotonic() - started),
        "seconds_of_mutants": round(sum(result.seconds for _, result in trial.results)),
        **_machine(),
        **_as_json(trial.results, verdicts, population, arguments),
    }
    _print(console, verdicts, figures)
    if options.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    tested = sum(result.outcome in TESTED for _, result in trial.results)
    if options.only is None and tested >= LEAST_SAMPLE:
        Path(RESULT).write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if verdicts["all"].without_equivalents.rate >= AIM else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("make mutants: interrupted; the same command goes on from here")
    except MutantsError as error:
        sys.exit(f"make mutants: {error}")

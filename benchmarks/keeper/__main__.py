"""`make bench-keeper`: measure, write benchmarks/keeper.json, say what falls short; exit 1 then."""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from benchmarks.keeper.ground import lay
from benchmarks.keeper.measure import VAULTS, measure

RESULT = Path(__file__).resolve().parents[1] / "keeper.json"


def _loop_seconds() -> float:
    """Return how long this machine takes for ten million additions: what the figures depend on."""
    started, total = time.perf_counter(), 0
    for number in range(10**7):
        total += number
    return time.perf_counter() - started


def _table(figures: list[Figure]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="The keeper's figures", title_justify="left")
    table.add_column("figure")
    for heading in ("measured", "target", ""):
        table.add_column(heading, justify="right")
    for one in figures:
        verdict = "" if one.target is None else "[bold red]missed[/]" if one.missed else "met"
        table.add_row(one.name, one.text(one.value), one.bound, verdict)
    return table


def main() -> int:
    """Measure and report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keeper", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the JSON, not the table")
    arguments = parser.parse_args()
    progress = Console(stderr=True)

    def tell(words: str) -> None:
        progress.print(f"{time.monotonic() - started:5.0f} s  {words}", highlight=False)

    started, loop = time.monotonic(), _loop_seconds()
    with tempfile.TemporaryDirectory() as name, lay(Path(name), VAULTS) as ground:
        figures = asyncio.run(measure(ground, Path(name), tell))
    machine = f"{multiprocessing.cpu_count()} cores, {platform.machine()}"
    data = {
        "figures": [asdict(one) | {"missed": one.missed} for one in figures],
        "machine": machine,
        "python": platform.python_version(),
        "ten_million_additions_seconds": round(loop, 2),
    }
    text = json.dumps(data, indent=2) + "\n"
    RESULT.write_text(text)
    if arguments.json:
        sys.stdout.write(text)
    else:
        console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
        console.print(_table(figures))
        console.print(f"{machine}; ten million additions in a loop: {loop:.2f} s")
    missed = [one.name for one in figures if one.missed]
    verdict = f"MISSED: {', '.join(missed)}" if missed else "Every target is met."
    progress.print(verdict, style="bold red" if missed else "green")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""A benchmark's command: measure, write a JSON file, show each figure beside its target."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure

Tell = Callable[[str], None]
"""Told what is being measured, in a few words."""

_FOLDER = Path(__file__).resolve().parent


def run(name: str, title: str, about: str | None, measure: Callable[[Tell], list[Figure]]) -> int:
    """Measure, write benchmarks/`name`.json and report; return 1 where a figure falls short."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    parser.add_argument("--json", action="store_true", help="print the JSON, not the table")
    arguments = parser.parse_args()
    progress = Console(stderr=True)

    def tell(words: str) -> None:
        progress.print(f"{time.monotonic() - started:5.0f} s  {words}", highlight=False)

    started, loop = time.monotonic(), _loop_seconds()
    figures = measure(tell)
    machine = f"{multiprocessing.cpu_count()} cores, {platform.machine()}"
    data = {
        "figures": [asdict(one) | {"missed": one.missed} for one in figures],
        "machine": machine,
        "python": platform.python_version(),
        "ten_million_additions_seconds": round(loop, 2),
    }
    text = json.dumps(data, indent=2) + "\n"
    (_FOLDER / f"{name}.json").write_text(text)
    if arguments.json:
        sys.stdout.write(text)
    else:
        console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
        console.print(_table(title, figures))
        console.print(f"{machine}; ten million additions in a loop: {loop:.2f} s")
    missed = [one.name for one in figures if one.missed]
    verdict = f"MISSED: {', '.join(missed)}" if missed else "Every target is met."
    progress.print(verdict, style="bold red" if missed else "green")
    return 1 if missed else 0


def _loop_seconds() -> float:
    """Return how long this machine takes for ten million additions: what the figures depend on."""
    started, total = time.perf_counter(), 0
    for number in range(10**7):
        total += number
    return time.perf_counter() - started


def _table(title: str, figures: list[Figure]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("figure")
    for heading in ("measured", "target", ""):
        table.add_column(heading, justify="right")
    for one in figures:
        verdict = "" if one.target is None else "[bold red]missed[/]" if one.missed else "met"
        table.add_row(one.name, one.text(one.value), one.bound, verdict)
    return table

"""`make bench`: measure, write benchmarks/gas.json, print the table; exit 1 on a missed target."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.gas import peers
from benchmarks.gas.measure import DisagreementError, Measurement, measure
from benchmarks.gas.report import (
    AIM_PERCENT,
    MOST_RUNTIME_BYTES,
    as_json,
    limit_of,
    misses,
    parts_of,
    tightest,
)
from ringfence.evm import EvmError

RESULT = Path(__file__).resolve().parents[1] / "gas.json"
WIDTH = 140


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("operation", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _own(measurement: Measurement) -> Table:
    headings = ("gas", "normalised", "limit", "of Morpho", "hard floor", "calldata", "limits word")
    title = "Gas of one operation, and where it goes"
    table = _table(title, *headings, "rate call", "own logs", "compute", "over needed")
    for row in measurement.rows:
        limit, parts = limit_of(row.name), parts_of(row)
        percent = 100 * row.normalised / parts.needed
        table.add_row(
            row.name,
            f"{row.gas:,}",
            f"[{'green' if row.normalised <= limit else 'bold red'}]{row.normalised:,}[/]",
            f"{limit:,}",
            f"{row.normalised / peers.gas_of(row.name)[peers.MORPHO]:.3f}",
            f"{parts.hard_floor:,}",
            f"{parts.calldata:+,}",
            f"{parts.limits_word:,}",
            f"{parts.rate_call:,}",
            f"{parts.logs:,}",
            f"{parts.compute:,}",
            f"[{'green' if percent <= AIM_PERCENT else 'default'}]{percent - 100:+.1f} %[/]",
        )
    return table


def _peers(measurement: Measurement) -> Table:
    table = _table("The peers' recorded gas", "Ringfence", *peers.NAMES)
    for row in measurement.rows:
        recorded = peers.gas_of(row.name)
        theirs = (f"{recorded[name]:,}" if name in recorded else "-" for name in peers.NAMES)
        table.add_row(row.name, f"{row.normalised:,}", *theirs)
    table.add_section()
    sizes = (peers.RUNTIME_BYTES[name] for name in peers.NAMES)
    table.add_row("bytes on chain", f"{measurement.runtime_bytes:,}", *sizes)
    return table


def _show(measurement: Measurement, console: Console) -> None:
    console.print(_own(measurement))
    console.print(_peers(measurement))
    row, share = tightest(measurement)
    console.print(
        "gas: the receipt, refunds taken off (the health view: its execution alone). "
        "normalised: gas - what our token used + what the peers' token would have used, "
        f"{peers.TRANSFER_FROM:,} a transferFrom and {peers.TRANSFER:,} a transfer.\n"
        "limit: 0.80 of Morpho Blue's (topping up 0.88), and below every peer's; "
        f"{MOST_RUNTIME_BYTES:,} bytes on chain.\n"
        "needed: hard floor, limits word, rate call and own logs; the aim is at most "
        f"{AIM_PERCENT - 100} % more.\n"
        "Were the calls of rate model and oracle at the peers' cost as well "
        f"({peers.RATE_CALL:,} and {peers.ORACLE_CALL:,}), {row} would be nearest to its limit, "
        f"at {share:.1%} of it.\n"
        f"Peers: {peers.SOURCE}. Conditions: {peers.CONDITIONS}.\n"
        f"Measured with {measurement.compiler} on anvil {measurement.anvil}, "
        f"{measurement.hardfork}; written to benchmarks/{RESULT.name}."
    )


def main() -> int:
    """Measure and report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gas", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the JSON, not the tables")
    arguments = parser.parse_args()
    complaints = Console(stderr=True)
    try:
        measurement = measure()
    except (DisagreementError, EvmError) as error:
        complaints.print(f"make bench: {error}", style="red")
        return 1
    text = json.dumps(as_json(measurement), indent=2) + "\n"
    RESULT.write_text(text)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    if arguments.json:
        sys.stdout.write(text)
    else:
        _show(measurement, console)
    missed = list(misses(measurement))
    for sentence in missed:
        complaints.print(f"MISSED: {sentence}", style="bold red")
    if not missed and not arguments.json:
        console.print("Every target is met.", style="green")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

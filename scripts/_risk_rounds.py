"""`ape run risk rounds`: the prices of a Chainlink feed, as a CSV that `calibrate` reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from ringfence.evm.rpc import JsonRpc
from ringfence.risk.prices.csv_prices import COLUMNS, Prices
from ringfence.risk.prices.paths import DAY
from ringfence.risk.prices.rounds import GAP, Round, RoundReader, since, spaced
from scripts._node import one_line_errors
from scripts._risk_setup import COUNT, DAYS, SECONDS, counting

HOUR = 3_600


def _from(feed: RoundReader, start: int, *, quiet: bool) -> list[Round]:
    """Return the rounds from a time on, newest first."""
    found: list[Round] = []
    with counting(max(feed.now - start, 0) // HOUR, "hours", quiet=quiet) as told:
        for one in since(feed.rounds(), start):
            found.append(one)
            told((feed.now - one.updated_at) // HOUR)
    return found


def _last(feed: RoundReader, count: int, *, quiet: bool) -> list[Round]:
    """Return the last rounds, newest first."""
    with counting(count, "rounds", quiet=quiet) as told:

        def seen() -> Iterator[Round]:
            for number, one in enumerate(islice(feed.rounds(), count), 1):
                told(number)
                yield one

        return list(seen())


def _write(file: Path, prices: Prices) -> None:
    """Write times in unix seconds, and prices that are read back as they were."""
    with file.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(COLUMNS)
        for number, price in enumerate(prices.prices.tolist()):
            rows.writerow((prices.start + number * prices.step_seconds, price))


@click.command()
@click.argument("feed")
@click.option("--rpc", required=True, help="URL of a node of the feed's chain.")
@click.option("--days", type=DAYS, default=30.0, show_default=True)
@click.option("--until", type=click.DateTime(), help="UTC; the last block's time by default.")
@click.option("--last", type=COUNT, help="Instead of --days, so many last rounds.")
@click.option("--step", type=SECONDS, default=HOUR, show_default=True, help="Seconds a step.")
@click.option("--gap", type=COUNT, default=GAP, show_default=True, help="Longest silence, s.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("prices.csv"), show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_line_errors
def rounds(
    feed: str, rpc: str, days: float, until: datetime | None, last: int | None, step: int,
    gap: int, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Read the rounds of a Chainlink FEED, and write prices `step` seconds apart as CSV."""
    with closing(JsonRpc(rpc)) as node:
        of = RoundReader.at(node, feed)
        end = of.now if until is None else int(until.replace(tzinfo=UTC).timestamp())
        end = min(end, of.now) // step * step
        if last is None:
            start = end - round(days * DAY / step) * step
            found = _from(of, start, quiet=as_json)
        else:
            found = _last(of, last, quiet=as_json)
            start = -(-found[-1].updated_at // step) * step
    prices = spaced(of, found, start, end, step, gap)
    _write(out, prices)
    if as_json:
        click.echo(json.dumps({
            "feed": of.address, "decimals": of.decimals, "rounds": len(found), "start": start,
            "step_seconds": step, "prices": prices.prices.size, "file": str(out),
        }))  # fmt: skip
        return
    begin = datetime.fromtimestamp(start, UTC).isoformat()
    click.echo(
        f"{prices.prices.size:,} prices from {begin}, {step:,} s apart, {len(found):,} rounds "
        f"read: {out}"
    )

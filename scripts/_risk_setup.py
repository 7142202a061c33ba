"""What the risk commands share: markets, where work runs, and figures in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import reduce
from math import isfinite
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ringfence.deploy.chain import load_chain
from ringfence.deploy.market import ChainlinkSource, Market, load_market
from ringfence.risk.answers.tail import Estimate
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.models import parse_model
from ringfence.risk.prices.paths import DAY, PriceModel
from ringfence.risk.prices.resample import Given
from ringfence.risk.rules.market import FEED_DECIMALS, RiskMarket
from ringfence.risk.work.tasks import Cache, Processes, Workers
from scripts._node import fail

Command = Callable[..., Any]
N = TypeVar("N", int, float, Decimal)
MOVING = 2_000.0
"""The price that moves, at the start, where none is given: only sizes depend on it."""


class Number(click.ParamType, Generic[N]):
    """A number of some kind from `low` to `high`; any other, NaN too, ends the command in one line.

    An end that is `above` or `below` is no number of the range itself.
    """

    name = "number"

    def __init__(
        self, kind: type[N], low: N, high: N, *, above: bool = False, below: bool = False
    ) -> None:
        self.kind, self.low, self.high, self.above, self.below = kind, low, high, above, below

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,  # noqa: ARG002
    ) -> N:
        """Return the number that a text is."""
        try:
            found = self.kind(value)  # type: ignore[arg-type]
            inside = (self.low < found if self.above else self.low <= found) and (
                found < self.high if self.below else found <= self.high
            )
        except (ValueError, ArithmeticError):
            inside = False
        if not inside:
            form, whole = (",", "whole ") if self.kind is int else ("g", "")
            fail(
                f"{param.opts[0] if param else self.name} is {str(value)[:40]!r} (limits: "
                f"{'above ' * self.above}{self.low:{form}} and {'below ' * self.below}"
                f"{self.high:{form}}); pass a {whole}number between"
            )
        return found


LARGE = 1e15
"""More whole tokens than there are of any."""
AMOUNT = Number(float, 0.0, LARGE)
SIZE = Number(float, 1e-9, LARGE)
PART = Number(float, 0.0, 1.0)
PART_ABOVE = Number(float, 1e-6, 1.0)
PART_BELOW = Number(float, 0.0, 1.0, below=True)
PART_BETWEEN = Number(float, 0.0, 1.0, above=True, below=True)
LEVERAGE = Number(float, 1.0, 1_000.0)
PRICE = Number(float, 1e-8, 9e10)
"""What a feed of 8 decimals answers in 63 bits."""
DAYS = Number(float, 0.0, 3_650.0, above=True)
SECONDS = Number(int, 1, 10 * DAY)
COUNT = Number(int, 1, 10**9)
DELAY = Number(int, 0, 10**9)
SEED = Number(int, 0, 2**64 - 1)
WORKERS = Number(int, 1, 1_000)
_MOST_STEPS = 10**6


def say(line: str) -> None:
    """Tell people something that is no result."""
    click.echo(line, err=True)


_LENGTH = (
    click.option("--days", type=DAYS, default=1.0, show_default=True),
    click.option("--step", type=SECONDS, default=60, show_default=True, help="Seconds a step."),
)
_SEED = click.option("--seed", type=SEED, default=1, show_default=True)
_DELAY = click.option(
    "--delay",
    type=DELAY,
    default=5,
    show_default=True,
    help="Steps that keepers are late.",
)
_RUN = (
    click.option(
        "--workers",
        type=WORKERS,
        default=2,
        show_default=True,
        help="Processes on this machine.",
    ),
    click.option("--scheduler", help="Instead, a Dask scheduler, as tcp://127.0.0.1:8786."),
    click.option(
        "--cache", type=click.Path(path_type=Path), help="Directory that keeps finished work."
    ),
    click.option(
        "--chain",
        type=click.Path(path_type=Path),
        default=Path("markets/chains/1.toml"),
        show_default=True,
        help="Chain file that knows the tokens.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _with(command: Command, *options: Command) -> Command:
    return reduce(lambda to, option: option(to), reversed(options), command)


def running(command: Command) -> Command:
    """Add the options of a command that draws paths of laws of its own."""
    return _with(command, *_LENGTH, _SEED, _DELAY, *_RUN)


def common(command: Command) -> Command:
    """Add the options of a command that draws paths of one law."""
    return _with(
        command,
        click.option(
            "--model",
            "model",
            default="student-t",
            show_default=True,
            help="Prices' law, as gbm:volatility=0.9, csv:FILE or bootstrap:FILE.",
        ),
        *_LENGTH,
        click.option(
            "--paths",
            type=COUNT,
            default=20_000,
            show_default=True,
            help="Paths at most.",
        ),
        click.option("--batch", type=COUNT, default=500, show_default=True, help="Paths a task."),
        _SEED,
        _DELAY,
        click.option(
            "--discount",
            type=PART_BELOW,
            default=0.005,
            show_default=True,
            help="Part below the price that they sell at.",
        ),
        *_RUN,
    )


def read_market(
    path: Path, chain: Path, *, short: bool, price: float | Decimal | None = None
) -> tuple[Market, RiskMarket]:
    """Return a market file's market, in which a token of some price moves.

    Raises RiskError for a token that the chain lacks, and for the price of the one that stands.
    """
    market, tokens = load_market(path), load_chain(chain).tokens
    if price is not None:
        _check_side(market, Decimal(price), short=short)
    try:
        decimals = {
            name: tokens[name].decimals for name in (market.file.collateral, market.file.asset)
        }
    except KeyError as error:
        raise RiskError(
            f"{chain} has no token {error}; add it there or pass another --chain"
        ) from None
    return market, RiskMarket.of(market, decimals, falls=not short)


def _check_side(market: Market, price: Decimal, *, short: bool) -> None:
    """Raise RiskError for a price that only the feed of the token that stands still would give."""
    source = market.file.oracle
    if not isinstance(source, ChainlinkSource) or len(source.base) != 1 or len(source.quote) != 1:
        return
    [moves], [stands] = (source.quote, source.base) if short else (source.base, source.quote)
    if stands.min <= price <= stands.max and not moves.min <= price <= moves.max:
        raise RiskError(
            f"a price of {price:f} is one of {stands.feed}, but {moves.feed} is what moves (limits "
            f"{moves.min:f} and {moves.max:f}); {'leave out' if short else 'pass'} --short, or "
            "another --price"
        )


def steps_of(days: float, step: int) -> int:
    """Return how many steps some days have; raise RiskError for none, or too many to draw."""
    steps = round(days * DAY / step)
    if not 1 <= steps <= _MOST_STEPS:
        raise RiskError(
            f"{days:g} days hold {steps:,} steps of {step} s (limits: 1 and {_MOST_STEPS:,}); "
            f"pass {'more' if steps < 1 else 'fewer'} days or another --step"
        )
    return steps


def answer_of(price: float) -> int:
    """Return a price, one that PRICE allows, as a feed's answer."""
    return round(price * 10**FEED_DECIMALS)


def law_of(model: str, paths: int) -> tuple[PriceModel, int]:
    """Return a model, and how many paths of it can differ: a file's prices as they were are one."""
    law = parse_model(model)
    return law, 1 if isinstance(law, Given) else paths


def moves_of(read: Iterable[tuple[Market, RiskMarket]]) -> list[int]:
    """Return which token moves in each market, numbered from 0 as they come."""
    moving = [of.file.collateral if market.falls else of.file.asset for of, market in read]
    tokens = list(dict.fromkeys(moving))
    return [tokens.index(one) for one in moving]


def workers_of(workers: int, scheduler: str | None) -> Workers:
    """Return where work runs."""
    if scheduler is None:
        return Processes(workers)
    # It takes a second to import, which only those who use it should wait.
    from ringfence.risk.work.cluster import Cluster

    return Cluster(scheduler)


def cache_of(directory: Path | None) -> Cache | None:
    """Return the cache in a directory."""
    return None if directory is None else Cache(directory, say)


@contextmanager
def counting(total: int, what: str = "paths", *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar of paths, or what else, on stderr while work goes on; yield what sets it."""
    with Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True, quiet=quiet), transient=True,
    ) as progress:  # fmt: skip
        bar = progress.add_task(what, total=total)
        yield lambda count: progress.update(bar, completed=count)


def figures(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate for JSON, without an end that is infinite."""
    ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: end if isfinite(end) else None for name, end in ends.items()}


def words(estimate: Estimate, form: str = ",.2f") -> str:
    """Return an estimate as people read it."""
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"

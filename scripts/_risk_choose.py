"""`ape run risk choose`: the largest LTV, the bonus and the debt cap that a loss budget allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import click
from rich.console import Console

from ringfence.deploy.units import to_wad
from ringfence.risk.answers.caps import IMPACT, POSITIONS, Sales
from ringfence.risk.answers.choose import choose as choose_from
from ringfence.risk.answers.depth import Depth
from ringfence.risk.answers.judge import Bench, Law, Setting, Work
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.models import DEFAULT_MODELS, STRESS
from ringfence.risk.prices.stress import stress_days
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.tasks import Cache, Result, Task, Workers, run_tasks
from scripts._node import one_line_errors
from scripts._risk_choose_show import Asked, data, lead, show
from scripts._risk_report import report_option, write_report
from scripts._risk_setup import (
    AMOUNT,
    COUNT,
    MOVING,
    PART,
    PART_ABOVE,
    PART_BELOW,
    PART_BETWEEN,
    PRICE,
    SIZE,
    Number,
    answer_of,
    cache_of,
    counting,
    read_market,
    running,
    say,
    steps_of,
    workers_of,
)

FRONTIER = (0.25, 0.5, 2.0, 4.0)
"""Budgets of the frontier, times the one asked for."""
_PATHS = Number(int, 2, 10**9)
BONUSES = ("0.005", "0.01", "0.02", "0.04")
ASKINGS = 12
"""How often laws are asked, about: it hangs on what is confirmed."""
GAS = 20.0
"""Of a liquidation, in the feeds' currency: 500,000 at 20 gwei, ether at 2,000."""


def _work(
    seed: int,
    pool: Workers,
    cache: Cache | None,
    laws: Mapping[str, Law],
    told: Callable[[int], None],
) -> Work:
    """Return what runs a task on one input a law, and tells how many paths are done in all."""
    done = 0

    def run(task: Task, inputs: Sequence[Mapping[str, object]]) -> Iterator[Result]:
        nonlocal done
        results = run_tasks(task, inputs, seed, pool, say, cache)
        for law, result in zip(laws.values(), results, strict=True):
            done += law.paths
            told(done)
            yield result

    return run


def _wad(bonus: str) -> int:
    try:
        return to_wad(Decimal(bonus))
    except (ArithmeticError, ValueError):
        raise RiskError(f"--bonus is {bonus!r}, not a number; write it as 0.01") from None


def _laws(paths: int, stress_paths: int) -> dict[str, Law]:
    laws = {name: Law(model, paths) for name, model in DEFAULT_MODELS.items()}
    days = stress_days().items()
    return laws | {f"{STRESS}:{day}": Law(model, stress_paths, given=True) for day, model in days}


def _gas(given: float | None, market: RiskMarket, price: float) -> float:
    """Return what a liquidation costs, whole assets."""
    if given is not None:
        return given
    return GAS if market.falls else GAS / price


@click.command()
@click.argument("market_file", type=click.Path(path_type=Path))
@running
@click.option(
    "--budget",
    type=PART_BETWEEN,
    default=0.005,
    show_default=True,
    help="Lenders' ES 99, a share of the debt.",
)
@click.option(
    "--bonus", "bonuses", multiple=True, default=BONUSES, show_default=True, help="To be tried."
)
@click.option("--cap", type=SIZE, help="Debt; the file's by default.")
@click.option(
    "--depth", type=SIZE, help="Worth of the pool's collateral, assets; 5 caps by default."
)
@click.option("--fee", type=PART_BELOW, default=0.0005, show_default=True, help="The pool's.")
@click.option(
    "--refill",
    type=COUNT,
    default=5,
    show_default=True,
    help="Steps until arbitrage has the pool back.",
)
@click.option(
    "--impact",
    type=PART,
    default=IMPACT,
    show_default=True,
    help="Share of what a sale moves the pool by that the market keeps.",
)
@click.option("--gas", type=AMOUNT, help="Of a liquidation, assets; worth 20 dollars by default.")
@click.option(
    "--positions",
    type=COUNT,
    default=POSITIONS,
    show_default=True,
    help="That owe the cap.",
)
@click.option("--reserve", type=AMOUNT, default=0.0, show_default=True, help="Share of the debt.")
@click.option(
    "--least",
    type=PART_ABOVE,
    default=0.6,
    show_default=True,
    help="The book's lowest LTV over the initial LTV.",
)
@click.option("--short", is_flag=True, help="The asset's price moves, not the collateral's.")
@click.option(
    "--price", type=PRICE, default=MOVING, show_default=True, help="What moves, at the start."
)
@click.option("--paths", type=_PATHS, default=20_000, show_default=True, help="Of each model.")
@click.option(
    "--stress-paths",
    type=_PATHS,
    default=200,
    show_default=True,
    help="Of each stress day.",
)
@click.option(
    "--confidence",
    type=AMOUNT,
    default=3.0,
    show_default=True,
    help="SmartLTV's factor c.",
)
@report_option
@one_line_errors
def choose(
    market_file: Path, days: float, step: int, seed: int, delay: int, workers: int,
    scheduler: str | None, cache: Path | None, chain: Path, as_json: bool, budget: float,
    bonuses: tuple[str, ...], cap: float | None, depth: float | None, fee: float, refill: int,
    impact: float, gas: float | None, positions: int, reserve: float, least: float, short: bool,
    price: float, paths: int, stress_paths: int, confidence: float, report: Path | None,
) -> None:  # fmt: skip
    """Choose the largest liquidation LTV, the bonus and the debt cap inside a loss budget.

    Every price model and every stress day must be inside it, each with the upper end of lenders' ES
    99, on paths that nothing was chosen on. LTVs are judged at the debt cap that is asked for, with
    late keepers and a price that sales do not move; the cap with sales that move it besides.
    """
    file, market = read_market(market_file, chain, short=short, price=price)
    cap = float(file.file.caps.debt) if cap is None else cap
    pool = Depth(5 * cap if depth is None else depth, fee, refill)
    setting = Setting(
        market, answer_of(price), cap, pool, reserve=reserve, delay=delay, least=least,
        steps=steps_of(days, step), step_seconds=step,
    )  # fmt: skip
    asked = Asked(
        setting, Sales(impact, _gas(gas, market, price), positions), tuple(map(_wad, bonuses)),
        budget, confidence, file.file.asset, seed, paths, stress_paths,
    )  # fmt: skip
    laws, where = _laws(paths, stress_paths), workers_of(workers, scheduler)
    total = ASKINGS * sum(law.paths for law in laws.values())
    with counting(total, quiet=as_json) as told:
        work = _work(seed, where, cache_of(cache), laws, lambda done: told(min(done, total)))
        bench = Bench(setting, laws, work)
        others = [budget * one for one in FRONTIER]
        found = choose_from(bench, asked.sales, asked.bonuses, budget, others)
        if report is not None:
            # It takes a second to import, which only those who use it should wait.
            from scripts._risk_choose_report import panels

            drawn = panels(bench, found, asked)
    if report is not None:
        title = f"Parameters of {market.id}"
        write_report(report, title, lead(found, asked), asked.given(), (market_file, chain), drawn)
    if as_json:
        click.echo(json.dumps(data(found, asked)))
        return
    show(Console(), found, asked)

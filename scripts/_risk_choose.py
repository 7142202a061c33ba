"""`ape run risk choose`: the largest LTV, the bonus and the debt cap that a loss budget allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ringfence.deploy.units import to_wad
from ringfence.math.fixed_point import WAD
from ringfence.risk.choose import Choice, Choices, Work
from ringfence.risk.choose import choose as choose_from
from ringfence.risk.closed_forms import one_whale, smart_level, smart_ltv
from ringfence.risk.depth import Depth
from ringfence.risk.errors import RiskError
from ringfence.risk.judge import LEVEL, Law, Setting
from ringfence.risk.models import DAY_VOLATILITY, DEFAULT_MODELS, STRESS
from ringfence.risk.stress import stress_days
from ringfence.risk.work import Cache, Result, Task, Workers, run_tasks
from scripts._node import one_line_errors
from scripts._risk_setup import (
    MOVING,
    answer_of,
    cache_of,
    counting,
    figures,
    read_market,
    say,
    steps_of,
    workers_of,
)

FRONTIER = (0.25, 0.5, 2.0, 4.0)
"""Budgets of the frontier, times the one asked for."""
BONUSES = ("0.005", "0.01", "0.02", "0.04")


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


def _closed_forms(one: Choice, setting: Setting, confidence: float) -> dict[str, float]:
    """Return what the closed forms say of a choice's bonus at the cap that was asked for."""
    risk, depth, cap = one.market.risk, setting.depth, setting.cap
    bonus, sigma = risk.base_bonus / WAD, DAY_VOLATILITY
    liquidity = depth.sellable(bonus)
    return {
        "smart_ltv": smart_ltv(confidence, sigma, liquidity, cap, bonus),
        "smart_level": smart_level(risk.liquidation_ltv / WAD, sigma, liquidity, cap, bonus),
        "one_whale": one_whale(depth, cap, bonus),
    }


def _data(one: Choice, setting: Setting, confidence: float) -> dict[str, object]:
    risk = one.market.risk
    ltvs = {
        "initial_ltv": one.market.initial_ltv, "target_ltv": risk.target_ltv,
        "liquidation_ltv": risk.liquidation_ltv, "base_bonus": risk.base_bonus,
        "beta_max": risk.beta_max,
    }  # fmt: skip
    return {
        **{name: value / WAD for name, value in ltvs.items()},
        "leverage": one.leverage,
        "budget": one.budget,
        "used": one.used,
        "worst": one.worst,
        "binds": one.binds,
        "passes": one.passes,
        "cap": one.cap,
        **_closed_forms(one, setting, confidence),
        "es_99": {law: figures(es) for law, es in one.es.items()},
    }


def _wad(bonus: str) -> int:
    try:
        return to_wad(Decimal(bonus))
    except (ArithmeticError, ValueError):
        raise RiskError(f"--bonus is {bonus!r}, not a number; write it as 0.01") from None


def _percent(wad: int) -> str:
    return f"{wad / WAD:.1%}"


def _row(one: Choice) -> tuple[str, ...]:
    return (
        _percent(one.market.risk.base_bonus), _percent(one.market.risk.liquidation_ltv),
        _percent(one.market.initial_ltv), f"{one.leverage:.1f}x", f"{one.used:.3%}", one.binds,
    )  # fmt: skip


HEADS = ("bonus", "LTV", "initial", "max", "ES 99 to", "binds")


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _tables(found: Choices, setting: Setting, confidence: float) -> Iterator[Table]:
    yield _table(
        "largest liquidation LTV by bonus, and the debt cap that it bears",
        (*HEADS, "cap"),
        ((*_row(one), f"{one.cap:,.0f}") for one in found.by_bonus),
    )
    yield _table(
        "frontier",
        ("budget", *HEADS),
        ((f"{one.budget:.2%}", *_row(one)) for one in found.frontier),
    )
    forms = [(one, _closed_forms(one, setting, confidence)) for one in found.by_bonus]
    yield _table(
        f"closed forms; SmartLTV at c = {confidence:g}",
        ("bonus", "our LTV", "SmartLTV", "its c for ours", "one whale"),
        (
            (*_row(one)[:2], f"{of['smart_ltv']:.1%}", f"{of['smart_level']:.2f}",
             f"{of['one_whale']:.1%}")
            for one, of in forms
        ),
    )  # fmt: skip
    laws = ((law, es, found.own.es[law]) for law, es in found.best.es.items())
    yield _table(
        "ES 99 by law, and up to",
        ("law", "the choice", "up to", "the file's own", "up to"),
        (
            (law, *(f"{part:.3%}" for part in (es.value, es.high, own.value, own.high)))
            for law, es, own in laws
        ),
    )


def _print(console: Console, found: Choices, setting: Setting, confidence: float) -> None:
    for table in _tables(found, setting, confidence):
        console.print(table)
    best, own = found.best.market.risk, found.own
    chosen = (
        f"choose liquidation_ltv {best.liquidation_ltv / WAD:g}, target_ltv "
        f"{best.target_ltv / WAD:g}, initial_ltv {found.best.market.initial_ltv / WAD:g}, "
        f"base_bonus {best.base_bonus / WAD:g}, beta_max {best.beta_max / WAD:g}, debt cap up to "
        f"{found.best.cap:,.0f}"
    )
    judged = (
        f"the file's own parameters {'pass' if own.passes else 'do not pass'}: ES 99 up to "
        f"{own.used:.3%} under {own.worst}, budget {own.budget:.2%}; debt cap "
    ) + (f"up to {own.cap:,.0f}" if own.cap else "none that was tried")
    for line in (chosen, judged):
        console.print(line, highlight=False, soft_wrap=True)


@click.command()
@click.argument("market_file", type=click.Path(path_type=Path))
@click.option(
    "--budget",
    type=float,
    default=0.005,
    show_default=True,
    help="Lenders' ES 99, a share of the debt.",
)
@click.option(
    "--bonus", "bonuses", multiple=True, default=BONUSES, show_default=True, help="To be tried."
)
@click.option("--cap", type=click.FloatRange(0, min_open=True), help="Debt; the file's by default.")
@click.option(
    "--depth", type=float, help="Worth of the pool's collateral, assets; 5 caps by default."
)
@click.option("--fee", type=float, default=0.0005, show_default=True, help="The pool's.")
@click.option(
    "--refill",
    type=int,
    default=5,
    show_default=True,
    help="Steps until arbitrage has the pool back.",
)
@click.option(
    "--delay",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Steps that keepers are late.",
)
@click.option(
    "--reserve", type=click.FloatRange(0), default=0.0, show_default=True, help="Share of the debt."
)
@click.option(
    "--least",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.6,
    show_default=True,
    help="The book's lowest LTV over the initial LTV.",
)
@click.option("--short", is_flag=True, help="The asset's price moves, not the collateral's.")
@click.option("--price", type=click.FloatRange(0, min_open=True), default=MOVING, show_default=True)
@click.option("--days", type=click.FloatRange(1), default=1.0, show_default=True)
@click.option(
    "--step", type=click.IntRange(1), default=60, show_default=True, help="Seconds a step."
)
@click.option(
    "--paths", type=click.IntRange(2), default=20_000, show_default=True, help="Of each model."
)
@click.option(
    "--stress-paths",
    type=click.IntRange(2),
    default=200,
    show_default=True,
    help="Of each stress day.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0),
    default=3.0,
    show_default=True,
    help="SmartLTV's factor c.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--scheduler", help="Instead, a Dask scheduler, as tcp://127.0.0.1:8786.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Directory that keeps finished work."
)
@click.option(
    "--chain",
    type=click.Path(path_type=Path),
    default=Path("markets/chains/1.toml"),
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_line_errors
def choose(
    market_file: Path, budget: float, bonuses: tuple[str, ...], cap: float | None,
    depth: float | None, fee: float, refill: int, delay: int, reserve: float, least: float,
    short: bool, price: float, days: float, step: int, paths: int, stress_paths: int,
    confidence: float, seed: int, workers: int, scheduler: str | None, cache: Path | None,
    chain: Path, as_json: bool,
) -> None:  # fmt: skip
    """Choose the largest liquidation LTV, the bonus and the debt cap inside a loss budget.

    Every price model and every stress day must be inside it, each with the upper end of lenders' ES
    99. Liquidations do not move the price; a pool's depth sets the discount that keepers sell at.
    """
    file, market = read_market(market_file, chain, short=short)
    cap = float(file.file.caps.debt) if cap is None else cap
    setting = Setting(
        market,
        answer_of(price),
        cap,
        Depth(5 * cap if depth is None else depth, fee, refill),
        reserve=reserve,
        delay=delay,
        least=least,
        steps=steps_of(days, step),
        step_seconds=step,
    )
    laws = {name: Law(model, paths) for name, model in DEFAULT_MODELS.items()}
    laws |= {
        f"{STRESS}:{day}": Law(model, stress_paths, given=True)
        for day, model in stress_days().items()
    }
    wads = [_wad(one) for one in bonuses]
    pool, others = workers_of(workers, scheduler), [budget * one for one in FRONTIER]
    with counting(2 * sum(law.paths for law in laws.values()), quiet=as_json) as told:
        work = _work(seed, pool, cache_of(cache), laws, told)
        found = choose_from(setting, laws, wads, budget, others, work)
    if as_json:
        kinds = {
            "by_bonus": [_data(one, setting, confidence) for one in found.by_bonus],
            "best": _data(found.best, setting, confidence),
            "frontier": [_data(one, setting, confidence) for one in found.frontier],
            "own": _data(found.own, setting, confidence),
        }
        given = {"market": market.id, "seed": seed, "cap": cap, "depth": setting.depth.value}
        click.echo(json.dumps({**given, **kinds}))
        return
    console = Console()
    console.print(
        f"{market.id}: ES {LEVEL:.0%} within {budget:.2%} of a debt of {cap:,.0f} "
        f"{file.file.asset}, {days:g} days, pool {setting.depth.value:,.0f}, seed {seed}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    _print(console, found, setting, confidence)

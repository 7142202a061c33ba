"""What `ape run risk choose` prints: tables and lines for people, and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.caps import Sales, Size
from ringfence.risk.answers.choose import Choice, Choices
from ringfence.risk.answers.closed_forms import one_whale, smart_level, smart_ltv
from ringfence.risk.answers.judge import LEVEL, Setting
from ringfence.risk.prices.models import DAY_VOLATILITY
from ringfence.risk.prices.paths import DAY
from scripts._risk_setup import figures

HEADS = ("bonus", "LTV", "initial", "max", "ES 99 to", "binds")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked: bonuses in 1e18, the budget a share of the debt."""

    setting: Setting
    sales: Sales
    bonuses: tuple[int, ...]
    budget: float
    confidence: float
    symbol: str
    seed: int
    paths: int
    stress_paths: int

    def given(self) -> dict[str, object]:
        """Return the scenario in plain values, by name."""
        of, sales = self.setting, self.sales
        return {
            "market": of.market.id, "seed": self.seed, "cap": of.cap, "depth": of.depth.value,
            "fee": of.depth.fee, "refill": of.depth.refill, "impact": sales.impact,
            "gas": sales.gas, "positions": sales.positions, "reserve": of.reserve,
            "delay": of.delay, "least": of.least, "first": of.first, "steps": of.steps,
            "step": of.step_seconds, "paths": self.paths, "stress_paths": self.stress_paths,
            "budget": self.budget, "bonuses": [one / WAD for one in self.bonuses],
            "short": not of.market.falls, "confidence": self.confidence,
        }  # fmt: skip


def closed_forms(one: Choice, asked: Asked) -> dict[str, float]:
    """Return what the closed forms say of a choice's bonus at the cap that was asked for."""
    risk, depth, cap = one.market.risk, asked.setting.depth, asked.setting.cap
    bonus, sigma = risk.base_bonus / WAD, DAY_VOLATILITY
    liquidity = depth.sellable(bonus)
    return {
        "smart_ltv": smart_ltv(asked.confidence, sigma, liquidity, cap, bonus),
        "smart_level": smart_level(risk.liquidation_ltv / WAD, sigma, liquidity, cap, bonus),
        "one_whale": one_whale(depth, cap, bonus),
    }


def data(found: Choices, asked: Asked) -> dict[str, object]:
    """Return all that was found, for JSON; every figure is of fresh paths."""
    return {
        **asked.given(),
        "by_bonus": [_choice(one, asked) for one in found.by_bonus],
        "best": _choice(found.best, asked),
        "frontier": [_choice(one, asked) for one in found.frontier],
        "own": _choice(found.own, asked),
    }


def _choice(one: Choice, asked: Asked) -> dict[str, object]:
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
        **closed_forms(one, asked),
        "es_99": {law: figures(es.at_least(0)) for law, es in one.es.items()},
        "at_cap": None if one.size is None else _size(one.size),
    }


def _size(size: Size) -> dict[str, object]:
    return {
        "cap": size.cap,
        "used": size.used,
        "worst": size.worst,
        "binds": size.binds,
        "late_es_99": {law: figures(es.at_least(0)) for law, es in size.late.items()},
        "coupled_es_99": {law: figures(es.at_least(0)) for law, es in size.coupled.items()},
    }


def _percent(wad: int) -> str:
    return f"{wad / WAD:.1%}"


def _row(one: Choice) -> tuple[str, ...]:
    return (
        _percent(one.market.risk.base_bonus), _percent(one.market.risk.liquidation_ltv),
        _percent(one.market.initial_ltv), f"{one.leverage:.1f}x", f"{one.used:.3%}", one.binds,
    )  # fmt: skip


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _chosen(found: Choices, asked: Asked) -> Iterator[Table]:
    yield _table(
        f"liquidation LTV at a debt of {asked.setting.cap:,.0f}; fresh paths",
        HEADS,
        (_row(one) for one in found.by_bonus),
    )
    sizes = [(one, one.size) for one in found.by_bonus if one.size]
    yield _table(
        "debt cap where sales move the price; fresh paths",
        ("bonus", "LTV", "cap", "ES 99 to", "of", "next forbidden by"),
        (
            (*_row(one)[:2], f"{one.cap:,.0f}" if one.cap else "none", f"{size.used:.3%}",
             size.worst, size.binds or "not tried")
            for one, size in sizes
        ),
    )  # fmt: skip
    yield _table(
        "frontier; fresh paths",
        ("budget", *HEADS),
        ((f"{one.budget:.2%}", *_row(one)) for one in found.frontier),
    )


def _beside(found: Choices, asked: Asked) -> Iterator[Table]:
    forms = [(one, closed_forms(one, asked)) for one in found.by_bonus]
    yield _table(
        f"closed forms, no paths; SmartLTV at c = {asked.confidence:g}",
        ("bonus", "our LTV", "SmartLTV", "its c for ours", "one whale"),
        (
            (*_row(one)[:2], f"{of['smart_ltv']:.1%}", f"{of['smart_level']:.2f}",
             f"{of['one_whale']:.1%}")
            for one, of in forms
        ),
    )  # fmt: skip
    laws = ((law, es, found.own.es[law]) for law, es in found.best.es.items())
    yield _table(
        "ES 99 by law, and up to; fresh paths",
        ("law", "the choice", "up to", "the file's own", "up to"),
        (
            (law, *(f"{part:.3%}" for part in (es.value, es.high, own.value, own.high)))
            for law, es, own in laws
        ),
    )


def lead(found: Choices, asked: Asked) -> list[str]:
    """Return the findings in words."""
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
    return [_headline(asked), chosen, judged]


def _headline(asked: Asked) -> str:
    of, sales = asked.setting, asked.sales
    return (
        f"{of.market.id}: ES {LEVEL:.0%} within {asked.budget:.2%} of a debt of {of.cap:,.0f} "
        f"{asked.symbol}, {of.steps * of.step_seconds / DAY:g} days, pool {of.depth.value:,.0f}, "
        f"impact {sales.impact:g}, gas {sales.gas:g}, seed {asked.seed}"
    )


def show(console: Console, found: Choices, asked: Asked) -> None:
    """Print what people read."""
    first, *rest = lead(found, asked)
    console.print(first, highlight=False, soft_wrap=True)
    for table in (*_chosen(found, asked), *_beside(found, asked)):
        console.print(table)
    for line in rest:
        console.print(line, highlight=False, soft_wrap=True)

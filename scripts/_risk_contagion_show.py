"""What `ape run risk contagion` was asked and found, in words, tables and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from ringfence.deploy import Market
from ringfence.risk.answers.contagion import (
    BLOCK_SECONDS,
    Absorption,
    Cascade,
    Cut,
    Eclipse,
    losses,
)
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import Coupled, Scene
from ringfence.risk.rules.market import RiskMarket

STEP = 60
"""Seconds of the engine's steps."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for, in its own units; None for what the market file decides."""

    price: float
    debt: float | None
    depth: float | None
    width: float
    fee: float
    fall: float
    over: int
    begin: int
    positions: int
    reserve: float
    gas: float
    keepers: int
    capacity: int
    blocks: int
    short: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it; `curves` by what is cut off, asset units as all amounts."""

    file: Market
    scene: Scene
    path: Floats
    fed: Sequence[Cascade]
    curves: Mapping[str, Sequence[Cut]]
    eclipses: Sequence[Eclipse]
    bears: Absorption

    @property
    def asset(self) -> float:
        """Asset units in a whole one."""
        return float(10**self.scene.market.asset_decimals)

    @property
    def owed(self) -> float:
        """What the book owes, whole assets."""
        return float(self.scene.book.debt.sum()) / self.asset


def _told(market: RiskMarket, result: Coupled) -> dict[str, float]:
    """Return a path's totals, whole assets."""
    asset = 10**market.asset_decimals
    return {
        "liquidated": float(result.liquidated[0]),
        "liquidations": float(result.liquidations[0]),
        "repaid": float(result.repaid[0]) / asset,
        "reserve_used": float(result.reserve_used[0]) / asset,
        "lender_loss": float(losses(result)[0]) / asset,
        "keeper_profit": float(result.keeper_profit[0]) / asset,
        "pool_low": float(result.pool_low[0]) / asset * 10**market.collateral_decimals,
    }


def _cut(cut: Cut, asset: float) -> dict[str, float]:
    return asdict(cut) | {
        "loss": cut.loss / asset,
        "worst": cut.worst / asset,
        "reserve_used": cut.reserve_used / asset,
        "keeper_profit": cut.keeper_profit / asset,
    }


def _eclipse(one: Eclipse, asset: float) -> dict[str, float]:
    return {
        "blocks": one.cut.blocks,
        "missed": one.missed,
        "missed_profit": one.missed_profit / asset,
        "failed": one.failed,
        "burned": one.burned / asset,
        "burned_again": one.burned_again / asset,
    }


def data(found: Found) -> dict[str, Any]:
    """Return what was found for programs, whole assets."""
    market, asset, bears = found.scene.market, found.asset, found.bears
    return {
        "market": market.id,
        "debt": found.owed,
        "depth": {"debt": bears.debt / asset, "pool_fall": bears.fall, "ltv": bears.ltv},
        "cascade": [
            {"impact": one.impact, "branching": one.branching} | _told(market, one.with_feedback)
            for one in found.fed
        ],
        "outage": {
            name: [_cut(one, asset) for one in curve] for name, curve in found.curves.items()
        },
        "eclipsed_keeper": [_eclipse(one, asset) for one in found.eclipses],
    }


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for column in table.columns:
        column.justify = "right"
    return table


def _cascade_table(found: Found) -> Table:
    table = _table(
        f"cascade by the share of a sale's move that the market keeps; {found.file.file.asset}",
        "kept", "positions", "branching", "repaid", "reserve", "lenders", "pool low",
    )  # fmt: skip
    for one in found.fed:
        told = _told(found.scene.market, one.with_feedback)
        table.add_row(
            f"{one.impact:.0%}",
            f"{told['liquidated']:,.0f}",
            f"{one.branching:.3f}",
            *(_amount(told[name]) for name in ("repaid", "reserve_used", "lender_loss")),
            f"{told['pool_low']:,.6g}",
        )
    return table


def _outage_table(found: Found, begin: int) -> Table:
    table = _table(
        f"what lenders (the reserve) lose by what is cut off, from minute {begin} on; "
        f"{found.file.file.asset}",
        "blocks", "minutes", *found.curves,
    )  # fmt: skip
    for cuts in zip(*found.curves.values(), strict=True):
        table.add_row(
            *_times(cuts[0].blocks),
            *(
                f"{_amount(one.loss / found.asset)} ({_amount(one.reserve_used / found.asset)})"
                for one in cuts
            ),
        )
    return table


def _eclipse_table(found: Found) -> Table:
    keepers, asset = found.scene.keepers, found.asset
    table = _table(
        f"the eclipsed one of {keepers.count} keepers; {found.file.file.asset}",
        "blocks", "minutes", "calls missed", "profit missed", "calls failed", "gas, sent once",
        "gas, every step",
    )  # fmt: skip
    for one in found.eclipses:
        table.add_row(
            *_times(one.cut.blocks),
            f"{one.missed:,.1f}",
            _amount(one.missed_profit / asset),
            f"{one.failed:,.0f}",
            *(_amount(burned / asset) for burned in (one.burned, one.burned_again)),
        )
    return table


def _amount(whole: float) -> str:
    """Return whole assets for people: of few, some places."""
    return f"{whole:,.0f}" if abs(whole) >= 1_000 else f"{whole:,.4g}"


def _times(blocks: int) -> tuple[str, str]:
    return f"{blocks:,}", f"{blocks * BLOCK_SECONDS / 60:,.1f}"


def lead(found: Found, asked: Asked) -> tuple[str, str]:
    """Return in two sentences what was asked, and what the pool bears."""
    file, bears, asset = found.file.file, found.bears, found.file.file.asset
    held = found.scene.pool.holdings()[0] / 10**found.scene.market.collateral_decimals
    said = (
        f"{file.collateral} loses {asked.fall:g} % against {asset} within {asked.over} minutes: "
        f"{asked.positions:,} positions owe {found.owed:,.0f} {asset}, the pool holds {held:,.0f} "
        f"{file.collateral}."
    )
    borne = (
        f"The pool bears {bears.debt / found.asset:,.0f} {asset} of debt at once, and falls "
        f"{bears.fall:.2%} by it; the whole book sold at once repays an LTV of {bears.ltv:.3f}."
    )
    return said, borne


def show(found: Found, said: Iterable[str], begin: int) -> None:
    """Print what was found for people."""
    console = Console()
    for one in said:
        console.print(one, highlight=False, soft_wrap=True)
    console.print(_cascade_table(found), _outage_table(found, begin), _eclipse_table(found))

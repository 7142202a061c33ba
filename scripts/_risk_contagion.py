"""`ape run risk contagion`: a sudden fall, its cascade through a pool, and what outages add."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from ringfence.deploy import Market
from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.risk.answers.contagion import (
    BLOCK_SECONDS,
    Absorption,
    Cascade,
    Cut,
    Eclipse,
    absorption,
    cascade,
    curve_blocks,
    draw_book,
    eclipse_curve,
    losses,
    outage_curve,
    steps_of,
    sudden,
)
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import Coupled, Keepers, Scene
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.rules.market import RiskMarket
from scripts._node import one_line_errors
from scripts._risk_report import report_option, write_report
from scripts._risk_setup import (
    AMOUNT,
    COUNT,
    DELAY,
    MOVING,
    PART_BELOW,
    PRICE,
    SEED,
    SIZE,
    Number,
    answer_of,
    read_market,
)

STEP = 60
_DAY = 1_440
_WIDTH = Number(float, 1.001, inf)
_FALL = Number(float, 0.0, 100.0, above=True, below=True)
_MINUTE = Number(int, 1, _DAY - 1)
_IMPACTS = (0.0, 0.1, 0.25, 0.5)
_CAPS = 5
"""Debt caps that the pool's collateral is worth where nobody says: `risk choose` takes as many."""


Option: TypeAlias = Any
"""A value of the command line, as click made it."""


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


def _scene(asked: Asked, file: Market, market: RiskMarket) -> Scene:
    """Return the book, the pool and the keepers that were asked for."""
    answer = answer_of(asked.price)
    unit = market.price(answer) / PRICE_SCALE
    asset, collateral = 10**market.asset_decimals, 10**market.collateral_decimals
    cap = float(file.file.caps.debt) * asset
    debt = cap if asked.debt is None else asked.debt * asset
    depth = _CAPS * cap / unit if asked.depth is None else asked.depth * collateral
    gas = asked.gas * asset / (asked.price if asked.short else 1)
    rng = np.random.default_rng(asked.seed)
    return Scene(
        market,
        answer,
        draw_book(rng, market, answer, count=asked.positions, debt=debt),
        Pool.around(unit, depth, asked.fee, asked.width),
        keepers=Keepers(asked.keepers, asked.capacity, gas=gas),
        reserve=asked.reserve * asset,
    )


def _find(asked: Asked, file: Market, scene: Scene) -> Found:
    """Run the fall: with and without feedback, and through every outage."""
    path = sudden(asked.fall / 100, asked.over, _DAY)
    path = path if scene.market.falls else 1 / path
    # Of outages that take as many steps, the longest.
    blocks = list({steps_of(one, STEP): one for one in curve_blocks(asked.blocks)}.values())
    count = scene.keepers.count

    def cut(*, oracle: bool, keepers: int) -> list[Cut]:
        return outage_curve(
            scene, path, blocks, step_seconds=STEP, start=asked.begin, oracle=oracle,
            keepers=keepers,
        )  # fmt: skip

    eclipses = eclipse_curve(scene, path, blocks, step_seconds=STEP, start=asked.begin)
    curves = {
        "oracle": cut(oracle=True, keepers=0),
        "keepers": cut(oracle=False, keepers=count),
        "both": cut(oracle=True, keepers=count),
        "one keeper": [one.cut for one in eclipses],
    }
    fed = [cascade(scene, path, impact) for impact in _IMPACTS]
    bears = absorption(scene.pool, scene.market, float(scene.book.collateral.sum()))
    return Found(file, scene, path, fed, curves, eclipses, bears)


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


def _data(found: Found) -> dict[str, Any]:
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


def _lead(found: Found, asked: Asked) -> tuple[str, str]:
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


@click.command()
@click.argument("market_file", type=click.Path(path_type=Path))
@click.option(
    "--chain",
    type=click.Path(path_type=Path),
    default=Path("markets/chains/1.toml"),
    show_default=True,
    help="Chain file that knows the tokens.",
)
@click.option(
    "--short",
    is_flag=True,
    help="The asset's price moves, and rises: --fall is what the collateral then loses against it.",
)
@click.option(
    "--price",
    type=PRICE,
    default=MOVING,
    show_default=True,
    help="Of the token that moves, at the start, in the feeds' currency: the collateral; in a "
    "short the asset.",
)
@click.option(
    "--debt",
    type=SIZE,
    help="The book's, whole assets; by default the market's debt cap.",
)
@click.option(
    "--depth",
    type=SIZE,
    help="The pool's collateral, whole tokens; by default worth 5 debt caps.",
)
@click.option(
    "--width",
    type=_WIDTH,
    default=inf,
    show_default=True,
    help="The pool's range: price / width to price * width.",
)
@click.option(
    "--fee",
    type=PART_BELOW,
    default=0.0005,
    show_default=True,
    help="The pool's fee, a part of one.",
)
@click.option(
    "--fall",
    type=_FALL,
    default=30.0,
    show_default=True,
    help="Per cent that collateral loses in assets.",
)
@click.option("--over", type=_MINUTE, default=60, show_default=True, help="Minutes that it takes.")
@click.option(
    "--begin",
    type=_MINUTE,
    default=1,
    show_default=True,
    help="Minute at which outages begin.",
)
@click.option("--positions", default=10_000, show_default=True, type=COUNT, help="In the book.")
@click.option(
    "--reserve",
    type=AMOUNT,
    default=0.0,
    show_default=True,
    help="The vault's, whole assets.",
)
@click.option(
    "--gas",
    type=AMOUNT,
    default=0.5,
    show_default=True,
    help="Of a liquidation, in the feeds' currency.",
)
@click.option("--keepers", default=3, show_default=True, type=COUNT, help="All alike.")
@click.option(
    "--capacity",
    default=1_024,
    show_default=True,
    type=DELAY,
    help="Liquidations that each can send a minute.",
)
@click.option("--blocks", default=300, show_default=True, type=COUNT, help="The longest outage.")
@click.option("--seed", default=1, show_default=True, type=SEED, help="Of the book.")
@report_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_line_errors
def contagion(
    market_file: Path, chain: Path, report: Path | None, *, as_json: bool, **options: Option
) -> None:
    """Let a market's price fall within the hour: its cascade, and what outages add."""
    asked = Asked(**options)
    file, market = read_market(market_file, chain, short=asked.short, price=asked.price)
    with Console(stderr=True).status("falling"):
        found = _find(asked, file, _scene(asked, file, market))
    lead = _lead(found, asked)
    if report is not None:
        # It takes a second to import, which only those who use it should wait.
        from scripts._risk_contagion_report import panels

        given = asdict(asked) | {"market": market.id, "width": str(asked.width)}
        files = market_file, chain
        write_report(report, f"Contagion in {market.id}", lead, given, files, panels(found))
    if as_json:
        click.echo(json.dumps(_data(found)))
        return
    console = Console()
    for line in lead:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_cascade_table(found), _outage_table(found, asked.begin), _eclipse_table(found))

"""`ape run risk contagion`: a sudden fall, its cascade through a pool, and what outages add."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

import click
import numpy as np
from rich.console import Console

from ringfence.deploy import Market
from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.risk.answers.contagion import (
    Cut,
    absorption,
    cascade,
    curve_blocks,
    draw_book,
    eclipse_curve,
    outage_curve,
    steps_of,
    sudden,
)
from ringfence.risk.coupled.engine import Keepers, Scene
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.rules.market import RiskMarket
from scripts._node import one_line_errors
from scripts._risk_contagion_show import STEP, Asked, Found, data, lead, show
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

_DAY = 1_440
_WIDTH = Number(float, 1.001, inf)
_FALL = Number(float, 0.0, 100.0, above=True, below=True)
_MINUTE = Number(int, 1, _DAY - 1)
_IMPACTS = (0.0, 0.1, 0.25, 0.5)
_CAPS = 5
"""Debt caps that the pool's collateral is worth where nobody says: `risk choose` takes as many."""


Option: TypeAlias = Any
"""A value of the command line, as click made it."""


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
    said = lead(found, asked)
    if report is not None:
        # It takes a second to import, which only those who use it should wait.
        from scripts._risk_contagion_report import panels

        given = asdict(asked) | {"market": market.id, "width": str(asked.width)}
        files = market_file, chain
        write_report(report, f"Contagion in {market.id}", said, given, files, panels(found))
    if as_json:
        click.echo(json.dumps(data(found)))
        return
    show(found, said, asked.begin)

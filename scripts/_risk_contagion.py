"""`ape run risk contagion`: a sudden fall, its cascade through a pool, and what an outage adds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from ringfence.deploy import load_market
from ringfence.deploy.errors import DeployError
from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.risk.contagion import (
    BLOCK_SECONDS,
    Absorption,
    Cascade,
    Cut,
    absorption,
    cascade,
    curve_blocks,
    draw_book,
    losses,
    outage_curve,
    sudden,
)
from ringfence.risk.coupled import Coupled, Keepers, Scene
from ringfence.risk.errors import RiskError
from ringfence.risk.market import FEED_DECIMALS, RiskMarket
from ringfence.risk.pool import Pool
from scripts._risk_report import report_option, write_report

_DECIMALS = {"WETH": 18, "USDC": 6, "DAI": 18, "USDT": 6, "WBTC": 8}
_STEP = 60
_DAY = 1_440
_IMPACTS = (0.0, 0.1, 0.25, 0.5)


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


def _data(
    market: RiskMarket, fed: Sequence[Cascade], curve: Sequence[Cut], bears: Absorption
) -> dict[str, object]:
    asset = 10**market.asset_decimals
    return {
        "market": market.id,
        "depth": {"debt": bears.debt / asset, "pool_fall": bears.fall, "ltv": bears.ltv},
        "cascade": [
            {"impact": one.impact, "branching": one.branching}
            | _told(market, one.with_feedback)
            for one in fed
        ],
        "outage": [
            asdict(one) | {"loss": one.loss / asset, "worst": one.worst / asset,
                           "reserve_used": one.reserve_used / asset}
            for one in curve
        ],
    }  # fmt: skip


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for column in table.columns:
        column.justify = "right"
    return table


def _show(
    console: Console,
    market: RiskMarket,
    fed: Sequence[Cascade],
    curve: Sequence[Cut],
    bears: Absorption,
) -> None:
    million = 10 ** (market.asset_decimals + 6)
    console.print(
        f"the pool bears {bears.debt / million:,.3f} of debt at once, and falls "
        f"{bears.fall:.2%} by it; the whole book sold at once repays an LTV of {bears.ltv:.3f}"
    )
    table = _table(
        "cascade by the share of a sale's move that the market keeps; amounts in millions",
        "kept", "positions", "branching", "repaid", "reserve", "lenders", "pool low",
    )  # fmt: skip
    for one in fed:
        told = _told(market, one.with_feedback)
        table.add_row(
            f"{one.impact:.0%}",
            f"{told['liquidated']:,.0f}",
            f"{one.branching:.3f}",
            f"{told['repaid'] / 1e6:,.3f}",
            f"{told['reserve_used'] / 1e6:,.3f}",
            f"{told['lender_loss'] / 1e6:,.3f}",
            f"{told['pool_low']:,.2f}",
        )
    console.print(table)
    table = _table(
        "oracle and keepers cut off as the fall begins; amounts in millions",
        "blocks", "minutes", "calls", "reserve", "lenders",
    )  # fmt: skip
    for cut in curve:
        table.add_row(
            f"{cut.blocks:,}",
            f"{cut.blocks * BLOCK_SECONDS / 60:,.1f}",
            f"{cut.liquidations:,.0f}",
            f"{cut.reserve_used / million:,.3f}",
            f"{cut.loss / million:,.3f}",
        )
    console.print(table)


@click.command()
@click.argument("market_file", type=click.Path(path_type=Path))
@click.option("--price", default=2_000.0, help="The feed's first answer, whole units.")
@click.option("--debt", default=50_000_000.0, help="The book's debt, whole assets.")
@click.option("--depth", "held", default=20_000.0, help="The pool's collateral, whole tokens.")
@click.option("--width", default=inf, help="The pool's range: price / width to price * width.")
@click.option("--fee", default=0.0005, help="The pool's fee, a part of one.")
@click.option("--fall", default=30.0, help="Per cent that the price falls by.")
@click.option("--over", default=60, help="Minutes that it takes.")
@click.option("--positions", default=100_000, type=click.IntRange(1), help="In the book.")
@click.option("--reserve", default=0.0, help="The vault's, whole assets.")
@click.option("--gas", default=0.5, help="Of a liquidation, in the feeds' currency.")
@click.option("--blocks", default=300, type=click.IntRange(1), help="The longest outage.")
@click.option("--short", is_flag=True, help="The asset's feed moves, and rises.")
@click.option("--seed", default=1, help="Of the book.")
@report_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def contagion(
    market_file: Path, price: float, debt: float, held: float, width: float, fee: float,
    fall: float, over: int, positions: int, reserve: float, gas: float, blocks: int, short: bool,
    seed: int, report: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Let a market's price fall within the hour: its cascade, and what an outage adds."""
    try:
        file = load_market(market_file)
        market = RiskMarket.of(file, _DECIMALS, falls=not short)
        answer = round(price * 10**FEED_DECIMALS)
        if answer < 1:
            raise RiskError(f"the price is {price:g}; pass one above 0")
        unit = market.price(answer) / PRICE_SCALE
        asset = 10**market.asset_decimals
        book = draw_book(
            np.random.default_rng(seed), market, answer, count=positions, debt=debt * asset
        )
        scene = Scene(
            market,
            answer,
            book,
            Pool.around(unit, held * 10**market.collateral_decimals, fee, width),
            keepers=Keepers(gas=gas * asset / (price if short else 1)),
            reserve=reserve * asset,
        )
        path = sudden(fall / 100, over, _DAY)
        path = 1 / path if short else path
        with Console(stderr=True).status("falling"):
            fed = [cascade(scene, path, impact) for impact in _IMPACTS]
            curve = outage_curve(
                scene, path, curve_blocks(blocks),
                step_seconds=_STEP, start=1, oracle=True, keepers=scene.keepers.count,
            )  # fmt: skip
            bears = absorption(scene.pool, market, float(book.collateral.sum()))
        if report is not None:
            from scripts._risk_contagion_report import panels

            asked = {"market": market.id, "price": price, "debt": debt, "depth": held,
                     "width": str(width), "fee": fee, "fall": fall, "over": over,
                     "positions": positions, "reserve": reserve, "gas": gas, "blocks": blocks,
                     "short": short, "seed": seed}  # fmt: skip
            symbol, moves = file.file.asset, "rise" if short else "fall"
            said = (
                f"A {moves} of {fall:g} % within {over} minutes on {positions:,} positions that "
                f"owe {debt:,.0f} {symbol}."
            )
            borne = (
                f"The pool bears {bears.debt / asset:,.0f} {symbol} of debt at once, and falls "
                f"{bears.fall:.2%} by it."
            )
            write_report(
                report, f"Contagion in {market.id}", (said, borne), asked, (market_file,),
                panels(scene, path, curve, bears, symbol, _STEP),
            )  # fmt: skip
    except (RiskError, DeployError) as error:
        raise click.ClickException(str(error)) from None
    except KeyError as error:
        raise click.ClickException(
            f"decimals of {error} are not known; known are {', '.join(_DECIMALS)}"
        ) from None
    if as_json:
        click.echo(json.dumps(_data(market, fed, curve, bears)))
        return
    _show(Console(), market, fed, curve, bears)

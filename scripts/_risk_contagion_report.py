"""The figures of `ape run risk contagion --report`, made of the scene that the command ran."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ringfence.math.fixed_point import WAD
from ringfence.report.panel import Panel
from ringfence.risk.answers.contagion import Absorption
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import Scene, trace
from ringfence.risk.coupled.steps import Ledger
from ringfence.risk.report.positions import keeper_profits, keeper_zone
from ringfence.risk.report.system import (
    Cutoff,
    Missed,
    Timeline,
    cascade,
    depth,
    eclipse,
    outage,
)
from ringfence.risk.rules.liquidations import Terms
from scripts._risk_contagion_show import STEP, Found

_KEPT = 0.25
"""Share of a sale's move that the market keeps, in the cascade that is drawn."""
_POINTS = 60
_DEBTS = np.geomspace(1e-5, 1.0, 26)
"""Of a position, as parts of the book's debt."""
_MOVES = np.linspace(0.0, 0.15, 16)


def panels(found: Found) -> list[Panel]:
    """Return the figures of what the command found."""
    scene, asset, unit = found.scene, found.asset, found.file.file.asset
    told = {
        name: [Cutoff(one.blocks, one.loss / asset, one.worst / asset) for one in curve]
        for name, curve in found.curves.items()
    }
    own = [
        Missed(
            one.cut.blocks, one.missed, one.missed_profit / asset, one.failed, one.burned / asset,
            one.burned_again / asset,
        )
        for one in found.eclipses
    ]  # fmt: skip
    return [
        cascade(_timeline(scene, found.path, STEP)),
        outage(told, unit),
        eclipse(own, unit),
        _depth(scene, found.bears, asset, unit),
        _zone(scene, asset, unit),
    ]


def _timeline(scene: Scene, path: Floats, step_seconds: int) -> Timeline:
    debt = float(scene.book.debt.sum())
    alone, fed = (trace(replace(scene, impact=kept), path[0]).ledger for kept in (0.0, _KEPT))
    return Timeline(
        *(run[:, Ledger.PRICE] / run[0, Ledger.PRICE] for run in (alone, fed)),
        *(run[:, Ledger.RETIRED] / debt for run in (alone, fed)),
        step_seconds,
    )


def _depth(scene: Scene, bears: Absorption, asset: float, unit: str) -> Panel:
    pool, bonus = scene.pool, scene.market.risk.base_bonus / WAD
    borne = bears.debt * (1 + bonus) if bears.debt else None
    sold = np.linspace(0.0, max(2 * (borne or 0.0), pool.holdings()[1] / 10), _POINTS)[1:]
    got = np.array([-pool.sell(worth / pool.price).asset for worth in sold.tolist()])
    return depth(sold / asset, 1 - got / sold, None if borne is None else borne / asset, unit)


def _zone(scene: Scene, asset: float, unit: str) -> Panel:
    pool, terms = scene.pool, Terms.of(scene.market.risk)
    debts = np.maximum(_DEBTS * float(scene.book.debt.sum()), terms.min_debt)
    profits = keeper_profits(
        terms, np.unique(debts), _MOVES, lambda worth: -pool.sell(worth / pool.price).asset,
        scene.keepers.gas,
    )  # fmt: skip
    return keeper_zone(np.unique(debts) / asset, _MOVES, profits / asset, unit)

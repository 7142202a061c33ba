"""Every figure of the risk report from made data: small, seeded, no run behind it."""

from __future__ import annotations

import numpy as np
from numpy.random import default_rng

from ringfence.report.panel import Panel
from ringfence.risk.answers.allocate import Scenarios, allocate
from ringfence.risk.answers.sensitivity import Swing
from ringfence.risk.answers.tail import expected_shortfall, value_at_risk
from ringfence.risk.prices.fit import Fit
from ringfence.risk.prices.models import DEFAULT_MODELS
from ringfence.risk.prices.paths import DAY
from ringfence.risk.report import losses, positions, prices, split, system
from ringfence.risk.rules.agreement import disagreements
from ringfence.risk.rules.book import Book, BookLaw, Positions, random_positions
from ringfence.risk.rules.liquidations import Terms
from tests.support.risk import DOLLAR, risk_market

ANSWER = 2_000 * DOLLAR
MARKET = risk_market()
TERMS = Terms.of(MARKET.risk)._replace(min_debt=0.0)
MADE_PATHS = DEFAULT_MODELS["gbm"].draw(default_rng(1), 200, 288, 300)
MADE_FITS = [
    Fit(name, DEFAULT_MODELS[name], 0.0, 2, 0.0, 0.0, 0.0) for name in ("student-t", "gbm")
]
MADE_RETURNS = np.diff(np.log(DEFAULT_MODELS["student-t"].draw(default_rng(2), 1, 900, DAY)))[0]
MADE_LOSSES = np.maximum(default_rng(3).lognormal(9, 1.5, 2_000) - 40_000, 0)
MADE_GRID = losses.Grid(
    np.linspace(0.7, 0.95, 6),
    np.linspace(0.01, 0.09, 5),
    np.maximum(np.add.outer(-np.linspace(0, 0.04, 5), np.linspace(-0.1, 0.1, 6)), 0),
)
MADE_SWINGS = [
    Swing("volatility", "75%", "125%", 60.0, 190.0),
    Swing("delay, steps", "0", "15", 90.0, 130.0),
    Swing("reserve", "none", "double", 150.0, 80.0),
]
MADE_POSITIONS: Positions = random_positions(
    default_rng(4), MARKET, 300, ANSWER, BookLaw(5.0, least_ltv=0.4)
)
MADE_BOOK = Book.of(MARKET, MADE_POSITIONS).sorted()
MADE_CUTOFFS = {
    "oracle and keepers": [
        system.Cutoff(blocks, 0.4 * blocks**1.5, 1.1 * blocks**1.5) for blocks in (0, 50, 150, 300)
    ],
    "keepers": [
        system.Cutoff(blocks, 0.2 * blocks**1.5, 0.7 * blocks**1.5) for blocks in (0, 50, 150, 300)
    ],
}
MADE_MISSED = [
    system.Missed(0, 0.0, 0.0, 0.0, 0.0, 0.0),
    system.Missed(50, 10.0, 40.0, 12.0, 6.0, 60.0),
    system.Missed(300, 30.0, 90.0, 12.0, 6.0, 360.0),
]
_FALL = 1 - 0.3 * np.minimum(np.arange(1_440) / 60, 1)
_SHARE = np.clip((1 - _FALL) * 2, 0, 1)
MADE_TIMELINE = system.Timeline(
    _FALL, _FALL - 0.1 * _SHARE, 0.4 * _SHARE, np.minimum(0.55 * _SHARE, 1), 60
)
MADE_SIZES = np.linspace(0, 5e6, 60)
MADE_OPTIONS = [losses.Option(f"LTV {ltv:.0%}", ltv, (ltv - 0.7) ** 2) for ltv in
                np.linspace(0.7, 0.95, 8).tolist()]  # fmt: skip
MADE_OTHERS = [losses.Option("SmartLTV", 0.82, 0.02), losses.Option("one whale", 0.78, 0.03)]

MADE_SCENARIOS = Scenarios(
    np.maximum(1 + np.outer(default_rng(7).standard_t(4, 1_000) / 10, (1.5, 2, -1.5, -3)), 0),
    np.full((1_000, 4), (1.5, 2, 0.5, 2)),
)
MADE_BUDGETS = [25.0, 50.0, 100.0]
MADE_SPLITS = [allocate(MADE_SCENARIOS, 1_000.0, budget / 1_000, 0.95) for budget in MADE_BUDGETS]


def every_panel() -> list[Panel]:
    """Return all the figures there are."""
    days = {name: MADE_PATHS[row] for row, name in enumerate(("2001-01-01", "2002-02-02"))}
    debts, moves = np.geomspace(1e2, 1e7, 24), np.linspace(0, 0.15, 16)
    profits = positions.keeper_profits(
        TERMS, debts, moves, lambda sold: 2e7 * sold / (2e7 + sold), gas=5.0
    )
    rng = default_rng(5)
    isolated = rng.gamma(2.0, 10.0, 400)
    crossed = {
        "equal leverage": isolated * rng.uniform(0, 1.2, 400),
        "equal capital": isolated * rng.uniform(0, 0.6, 400),
    }
    answers = np.rint(MADE_PATHS[MADE_PATHS.min(axis=1).argmin()] * ANSWER).astype(np.int64)
    found = disagreements(MARKET, MADE_POSITIONS, answers)
    return [
        prices.fan(MADE_PATHS, 300, 0.95),
        positions.ladder(MARKET, MADE_BOOK, ANSWER, "USDC"),
        positions.debt_at_drop(MARKET, MADE_BOOK, ANSWER, "USDC"),
        losses.distribution(
            MADE_LOSSES, value_at_risk(MADE_LOSSES, 0.95), expected_shortfall(MADE_LOSSES, 0.99),
            "USDC",
        ),
        losses.heat_map(MADE_GRID),
        losses.frontier(MADE_OPTIONS, MADE_OTHERS, 0.01),
        system.outage(MADE_CUTOFFS, "USDC"),
        system.eclipse(MADE_MISSED, "USDC"),
        system.cascade(MADE_TIMELINE),
        system.pairs(isolated, crossed, "slots lost, number"),
        system.depth(MADE_SIZES, MADE_SIZES / (MADE_SIZES + 2e7), 1.2e6, "USDC"),
        prices.tail_fit(MADE_RETURNS, MADE_FITS, DAY, default_rng(6)),
        prices.stress_replay(days, 300, 0.95),
        positions.passage(MARKET, 5.0, 0.9, np.linspace(1, 30, 30)),
        positions.keeper_zone(debts, moves, profits, "USDC"),
        losses.tornado(100.0, MADE_SWINGS, "ES 99, USDC"),
        split.margins([f"slot {n}" for n in range(4)], MADE_SPLITS[1].margins, 1_000.0, "USDC"),
        split.account_loss(MADE_SCENARIOS.loss @ MADE_SPLITS[1].margins,
                           MADE_SPLITS[1].shortfall, 0.95, MADE_BUDGETS[1], "USDC"),
        split.reach(MADE_BUDGETS, MADE_SPLITS, MADE_BUDGETS[1], "USDC"),
        losses.agreement(found, "positions on the worst path", "steps"),
    ]  # fmt: skip

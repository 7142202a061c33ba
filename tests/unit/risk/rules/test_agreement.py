"""The stepper held to the mirror: zero where they agree, and not where one of them errs."""

from __future__ import annotations

import numpy as np
import pytest

from ringfence.risk.rules import agreement
from ringfence.risk.rules.agreement import disagreements
from ringfence.risk.rules.book import Positions
from ringfence.risk.rules.trigger import triggers
from tests.support.risk import DOLLAR, risk_market
from tests.support.risk_panels import MADE_POSITIONS

FALLING = np.linspace(2_000, 900, 60).astype(np.int64) * DOLLAR


@pytest.mark.parametrize("falls", [True, False])
def test_disagreements__either_way_of_the_price__none(falls: bool) -> None:
    market = risk_market(falls=falls)
    answers = FALLING if falls else FALLING[::-1].copy()
    some = Positions(MADE_POSITIONS.collateral[:40], MADE_POSITIONS.scaled_debt[:40])
    assert not disagreements(market, some, answers).any()


def test_disagreements__no_debt__none() -> None:
    assert not disagreements(risk_market(), Positions([10**18, 0], [0, 0]), FALLING).any()


def test_disagreements__trigger_off_by_one__every_position_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agreement, "triggers", lambda *given: triggers(*given) + 1)
    some = Positions(MADE_POSITIONS.collateral[:40], MADE_POSITIONS.scaled_debt[:40])
    assert (disagreements(risk_market(), some, FALLING) > 0).all()


def test_disagreements__step_late__is_counted_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    late = agreement.first_steps
    monkeypatch.setattr(agreement, "first_steps", lambda *a, **k: late(*a, **k) + 3)
    market = risk_market()
    some = Positions([10**18], [1_500 * 10**6])
    assert disagreements(market, some, FALLING).tolist() == [3]

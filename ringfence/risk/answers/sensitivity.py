"""What lenders' loss hangs on: one assumption changed at a time, on the same paths."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ringfence.risk.answers.loss import LateKeepers, Lot, outcome
from ringfence.risk.answers.tail import expected_shortfall
from ringfence.risk.arrays import Floats
from ringfence.risk.rules.stepper import answers_of

_LESS, _MORE = 0.75, 1.25
_LATER = 10
_DEARER = 0.02
_LEVEL = 0.99


@dataclass(frozen=True, slots=True)
class Swing:
    """What one assumption moves: its name, both its values in words, and the figure at each."""

    name: str
    low: str
    high: str
    at_low: float
    at_high: float


def swings(lot: Lot, paths: Floats) -> tuple[float, list[Swing]]:
    """Return lenders' ES 99, whole assets, on relative paths, and how assumptions move it.

    Volatility is changed by scaling the log of every price. Paths are common to all of them.
    """

    def loss(keepers: LateKeepers = lot.keepers, power: float = 1.0, reserve: float = 1.0) -> float:
        answers = answers_of(paths**power, lot.first)
        found = outcome(lot.market, lot.book, answers, keepers, lot.reserve * reserve)
        return expected_shortfall(found.lender_loss, _LEVEL).value

    late, discount = lot.keepers.delay + _LATER, lot.keepers.discount
    dear = discount + min(_DEARER, (1 - discount) / 2)
    return loss(), [
        Swing("volatility", f"{_LESS:.0%}", f"{_MORE:.0%}", loss(power=_LESS), loss(power=_MORE)),
        Swing(
            "keepers' delay, steps", "0", str(late),
            loss(replace(lot.keepers, delay=0)), loss(replace(lot.keepers, delay=late)),
        ),
        Swing(
            "discount of sales", "0%", f"{dear:.1%}",
            loss(replace(lot.keepers, discount=0.0)), loss(replace(lot.keepers, discount=dear)),
        ),
        Swing("reserve", "none", "double", loss(reserve=0.0), loss(reserve=2.0)),
    ]  # fmt: skip

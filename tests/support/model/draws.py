"""What every draw of an action needs: amounts, accounts, the market as it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from ringfence.math import health
from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.math.position_slot import PositionSlot
from ringfence.math.vault_state import Call
from tests.support.model.actions import Action
from tests.support.model.cast import SALTS, WIDE, Cast
from tests.support.model.twin import Twin


class Draws:
    """Draws actions for one twin; the same seed draws the same ones."""

    def __init__(self, twin: Twin, rng: Random, mood: str) -> None:
        self.twin = twin
        self.mirror = twin.mirror
        self.rng = rng
        self.mood = mood
        self.cast = Cast.of(twin)
        self.positions = [owner << 96 | salt for owner in self.cast.owners for salt in SALTS]
        self.price = twin.setting.price
        self.queue: list[Callable[[], Action]] = []
        self.edges: Counter[str] = Counter()

    @property
    def unit(self) -> int:
        """A middling debt, asset units: amounts are multiples of it."""
        return self.twin.setting.min_debt * (2**40 if self.mood == WIDE else 10)

    def _call(self, caller: int) -> Call:
        return self.twin.call_by(caller)

    def _assets(self) -> int:
        shape = self.rng.random()
        if shape < 0.08:
            return self.rng.randint(1, 30)
        if self.mood == WIDE and shape < 0.2:
            return self.rng.randint(2**100, 2**104 + 2**90)
        return max(1, int(self.unit * 10 ** self.rng.uniform(-1.5, 1.5)))

    def _collateral(self, assets: int) -> int:
        return max(1, assets * PRICE_SCALE // max(self.price, 1))

    def _part(self, whole: int) -> int:
        """Part of an amount: any, all, one too many."""
        shape = self.rng.random()
        if shape < 0.2:
            return whole
        if shape < 0.25:
            return whole + 1
        return self.rng.randint(0, max(whole, 0))

    def _receiver(self, usual: int) -> int:
        if self.rng.random() < 0.85:
            return usual
        return self.rng.choice((*self.cast.everyone, self.twin.address))

    def _who(self, *usual: int) -> int:
        if self.rng.random() < 0.05:
            return self.rng.choice(self.cast.everyone)
        return self.rng.choice(usual)

    def _slot(self, position: int) -> PositionSlot:
        return self.mirror.load_position(position)

    def _debt(self, slot: PositionSlot) -> int:
        index = self.mirror.current_sheet(self._call(0)).debt_index
        return health.debt_up(slot.scaled_debt, index)

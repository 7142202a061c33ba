"""Draws of what happens around a vault: time, prices, failures, gifts."""

from __future__ import annotations

from ringfence.math.fixed_point import MAX_UINT256
from ringfence.math.rates import MAX_RATE
from tests.support.model.actions import Action
from tests.support.model.cast import DAY
from tests.support.model.draws_traders import TraderDraws


class WorldDraws(TraderDraws):
    """The chain's clock, the oracle, the rate model, allowances and donations."""

    def _warp(self) -> Action:
        seconds = self.rng.choice(
            (1, 12, 12, 60, 3_600, 3_600, self.rng.randint(1, DAY), DAY, 30 * DAY)
        )
        shape = self.rng.random()
        if shape < 0.004:
            seconds = self.rng.choice((10, 100)) * 365 * DAY
        elif shape < 0.02:
            seconds = int((10 * 365 * DAY) ** self.rng.random())
        return Action("warp", 0, (seconds,))

    def _set_quote(self) -> Action:
        if self.rng.random() < 0.04:
            return self._any_quote()
        shape = self.rng.random()
        base = self.twin.setting.price
        if shape < 0.35:
            self.price = int(self.price * self.rng.uniform(0.93, 1.07))
        elif shape < 0.65:
            self._price_of_a_position()
        elif shape < 0.75:
            self.price = int(self.price * self.rng.uniform(0.3, 1.0))
        else:
            self.price = int(base * self.rng.uniform(0.8, 1.25))
        self.price = max(self.price, base // 10**6, 1)
        low = high = self.price
        shape = self.rng.random()
        if shape < 0.3:
            low -= int(low * self.rng.uniform(0, 0.02))
        elif shape < 0.33:
            low = 0
        elif shape < 0.35:
            low = high = 0
        elif shape < 0.37:
            low = high + 1
        return Action("set_quote", 0, (low, high))

    def _any_quote(self) -> Action:
        """Any price that the vault takes, its ends included, for one call of a trader."""
        ends = (1, 2, MAX_UINT256 - 1, MAX_UINT256)
        drawn = (int(2 ** self.rng.uniform(0, 256)), self.rng.choice(ends))
        high = min(self.rng.choice(drawn), MAX_UINT256)
        low = self.rng.choice((high, high, self.rng.randint(1, high)))
        usual = Action("set_quote", 0, (self.price, self.price))
        self.queue += [self.rng.choice((self._adjust, self._liquidate)), lambda: usual]
        return Action("set_quote", 0, (low, high))

    def _price_of_a_position(self) -> None:
        """The price at which some position stands on its threshold, a unit off, or insolvent."""
        position = self.rng.choice(self.positions)
        slot = self._slot(position)
        if not slot.scaled_debt:
            return
        self.queue.append(self._liquidate)
        threshold = self.mirror.liquidation_price(self._call(0), position)
        percent = self.rng.choice((100, 100, 99, 98, 97, 95, 92, 85))
        self.price = threshold * percent // 100 + self.rng.choice((-1, 0, 1))

    def _break_oracle(self) -> Action:
        how = 0 if self.twin.oracle_is_broken else self.rng.randint(1, 3)
        if how:
            self.queue += [*[self._adjust] * 4, self._liquidate]
            self.queue.append(lambda: Action("break_oracle", 0, (0,)))
        return Action("break_oracle", 0, (how,))

    def _set_rate(self) -> Action:
        return Action(
            "set_rate",
            0,
            (self.rng.choice((0, MAX_RATE // 60, MAX_RATE // 3, MAX_RATE, MAX_UINT256)),),
        )

    def _break_rate(self) -> Action:
        how = 0 if self.twin.rate_is_broken else self.rng.randint(0, 3)
        return Action("break_rate", 0, (how,))

    def _donate(self) -> Action:
        return Action("donate", self.cast.stranger, (self.rng.randint(0, 1), self._assets()))

    def _allow(self) -> Action:
        who = self.rng.choice((self.cast.stranger, self.cast.liquidators[0]))
        queue_back = who != self.cast.stranger
        amount = self.rng.choice((0, self._assets()))
        token = self.rng.randint(0, 1)
        if queue_back:
            restored = Action("allow", who, (token, MAX_UINT256))
            self.queue += [self._liquidate, lambda: restored]
        return Action("allow", who, (token, amount))

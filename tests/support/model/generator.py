"""What happens next in a market: seeded, aware of the state, now and then wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from ringfence.math import health
from ringfence.math.fixed_point import MAX_UINT256
from tests.support.model.actions import Action
from tests.support.model.cast import CALM, EDGES, PLENTY, POOR
from tests.support.model.draws_hostile import HostileDraws
from tests.support.model.draws_traders import MAX_INT256
from tests.support.model.twin import Twin


class Generator(HostileDraws):
    """Draws actions for one twin; the same seed draws the same ones."""

    def __init__(self, twin: Twin, rng: Random, mood: str) -> None:
        super().__init__(twin, rng, mood)
        self._draws = self._weights()

    def _weights(self) -> tuple[list[Callable[[], Action]], list[int]]:
        volatile = self.mood != CALM
        table: list[tuple[Callable[[], Action], int]] = [
            (self._adjust, 30),
            (self._liquidate, 12 if volatile else 5),
            (self._top_up, 4),
            (self._repay, 5),
            (self._close, 3),
            (self._deposit, 5),
            (self._mint, 4),
            (self._withdraw, 4),
            (self._redeem, 4),
            (self._transfer, 2),
            (self._transfer_from, 2),
            (self._approve, 2),
            (self._permit, 1),
            (self._accrue, 2),
            (self._fund_reserve, 2),
            (self._set_operator, 3),
            (self._set_operator_with_signature, 1),
            (self._set_caps, 2),
            (self._pause, 2),
            (self._set_guardian, 1),
            (self._transfer_curator, 1),
            (self._accept_curator, 2),
            (self._announce, 2),
            (self._collect, 3),
            (self._warp, 14),
            (self._set_quote, 14 if volatile else 5),
            (self._break_oracle, 1),
            (self._set_rate, 3),
            (self._break_rate, 1),
            (self._donate, 1),
            (self._allow, 1),
            (self._edge, 6),
            (self._garble, 2),
            (self._odd, 1),
        ]
        return [draw for draw, _ in table], [weight for _, weight in table]

    def opening(self) -> list[Action]:
        """Tokens and allowances for all but the stranger, who is poor; the first deposits."""
        actions = []
        for who in self.cast.everyone:
            poor = who == self.cast.stranger
            for token in (0, 1):
                actions.append(Action("give", who, (token, POOR if poor else PLENTY)))
                actions.append(Action("allow", who, (token, POOR // 2 if poor else MAX_UINT256)))
        for lender in self.cast.lenders[:2]:
            actions.append(Action("deposit", lender, (self.unit * 4_000, lender)))
        actions.append(Action("fund_reserve", self.cast.lenders[0], (self.unit * 10,)))
        return actions

    def next(self) -> Action:
        """Draw the next action."""
        if self.queue:
            return self.queue.pop(0)()
        draws, weights = self._draws
        action: Action = self.rng.choices(draws, weights)[0]()
        if self.rng.random() < 0.03:
            return self._spoil(action)
        return action

    def crash(self) -> Iterator[Action]:
        """A near-total loss: lenders leave what cash there is, the price goes, all is cleared."""
        liquidator = self.cast.liquidators[0]
        yield Action("break_oracle", 0, (0,))
        yield Action("set_rate", 0, (0,))
        yield Action("allow", liquidator, (1, MAX_UINT256))
        yield Action("warp", 0, (60,))
        yield Action("set_quote", 0, (0, self.rng.choice((1, 7))))
        for lender in self.cast.everyone:
            most = self.mirror.max_redeem(self._call(lender), lender)
            if most:
                yield Action("redeem", lender, (most, lender, lender))
        for position in self.positions:
            yield Action("liquidate", liquidator, (position, MAX_UINT256, 0, liquidator, b""))
        for lender in self.cast.lenders[:2]:
            yield Action("deposit", lender, (self.unit, lender))
            yield Action("withdraw", lender, (1, lender, lender))
            yield Action("redeem", lender, (1, lender, lender))

    def closing(self) -> Action:
        """A unit of room under the supply cap: less than a share where interest has accrued."""
        sheet = self.mirror.current_sheet(self._call(0))
        debt = health.debt_up(sheet.total_scaled_debt, sheet.debt_index)
        caps = sheet.cash + debt + 1, self.mirror.load_limits().debt_cap
        return Action("set_caps", self.mirror.curator, caps)

    # Wrong on purpose

    def _spoil(self, action: Action) -> Action:
        """Replace one argument by an edge of its width, or the caller by anybody."""
        indexes = [
            index
            for index, value in enumerate(action.args)
            if isinstance(value, int) and action.signed is None
        ]
        if action.name in _WORLD:
            return action
        if not indexes or self.rng.random() < 0.2:
            who = self.rng.choice(self.cast.everyone)
            return Action(action.name, who, action.args, action.signed, action.signer)
        args: list[Any] = list(action.args)
        index = self.rng.choice(indexes)
        kind = _KINDS.get((action.name, index), "amount")
        if kind == "account":
            args[index] = self.rng.choice((0, self.twin.address, *self.cast.everyone))
        elif kind == "signed":
            args[index] = self.rng.choice((1, -1)) * min(self.rng.choice(EDGES), MAX_INT256)
        elif kind == "token":
            return action
        else:
            args[index] = self.rng.choice(EDGES)
        if action.name == "donate":
            args[1] = min(args[1], 2**120)
        return Action(action.name, action.caller, tuple(args))


_WORLD = ("warp", "set_quote", "break_oracle", "break_rate", "give", "allow", "garble")

_KINDS = {
    ("adjust", 1): "signed",
    ("adjust", 2): "signed",
    ("adjust", 3): "account",
    ("close", 1): "account",
    ("liquidate", 3): "account",
    ("deposit", 1): "account",
    ("mint", 1): "account",
    ("withdraw", 1): "account",
    ("withdraw", 2): "account",
    ("redeem", 1): "account",
    ("redeem", 2): "account",
    ("transfer", 0): "account",
    ("transferFrom", 0): "account",
    ("transferFrom", 1): "account",
    ("approve", 0): "account",
    ("set_operator", 0): "account",
    ("set_guardian", 0): "account",
    ("transfer_curator", 0): "account",
    ("collect_reserve", 0): "account",
    ("donate", 0): "token",
}
"""What an argument is, where it is no amount or position."""

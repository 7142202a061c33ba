"""What happens next in a market: seeded, aware of the state, now and then wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ringfence.math import health
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.position_slot import PositionSlot
from ringfence.math.rates import MAX_RATE
from ringfence.math.vault_state import Call
from tests.support.model.actions import CALLBACK_DATA, Action, sign
from tests.support.model.twin import Twin, account_number

DAY = 86_400
PLENTY = 2**140
MIN_INT256, MAX_INT256 = -(2**255), 2**255 - 1
EDGES = (0, 1, 2**104 - 1, 2**104, 2**112 - 1, 2**112, 2**113 - 1, 2**113, 2**128, MAX_UINT256)
SALTS = (0, 7, 2**96 - 1)
POOR = 10**7

CALM, VOLATILE, WIDE, CRASH = "calm", "volatile", "wide", "crash"
MOODS = (CALM, VOLATILE, WIDE, CRASH)
"""How an episode goes; in WIDE amounts reach their widths, CRASH ends in a near-total loss."""


@dataclass(slots=True)
class Cast:
    """Who takes part, as integers."""

    lenders: tuple[int, ...]
    owners: tuple[int, ...]
    operators: tuple[int, ...]
    liquidators: tuple[int, ...]
    stranger: int
    contract_trader: int
    wallet: int
    keys: dict[int, bytes] = field(repr=False)

    @classmethod
    def of(cls, twin: Twin) -> Cast:
        people = [account_number(one) for one in twin.signers]
        contract_trader = account_number(twin.contract_trader)
        wallet = account_number(twin.wallet)
        keys = {people[n]: twin.signers[n].key for n in range(1, 10)}
        keys[wallet] = twin.signers[0].key
        return cls(
            lenders=(people[1], people[2], contract_trader),
            owners=(people[3], people[4], contract_trader, wallet),
            operators=(people[5], people[3]),
            liquidators=(people[6], people[5], contract_trader),
            stranger=people[7],
            contract_trader=contract_trader,
            wallet=wallet,
            keys=keys,
        )

    @property
    def everyone(self) -> tuple[int, ...]:
        named = {*self.lenders, *self.owners, *self.operators, *self.liquidators, self.stranger}
        return tuple(sorted(named | set(self.keys)))


class Generator:
    """Draws actions for one twin; the same seed draws the same ones."""

    def __init__(self, twin: Twin, rng: Random, mood: str) -> None:
        self.twin = twin
        self.mirror = twin.mirror
        self.rng = rng
        self.mood = mood
        self.cast = Cast.of(twin)
        self.positions = [owner << 96 | salt for owner in self.cast.owners for salt in SALTS]
        self.price = twin.setting.price
        self._queue: list[Callable[[], Action]] = []
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
        if self._queue:
            return self._queue.pop(0)()
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

    # Amounts

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

    # Traders

    def _slot(self, position: int) -> PositionSlot:
        return self.mirror.load_position(position)

    def _debt(self, slot: PositionSlot) -> int:
        index = self.mirror.current_sheet(self._call(0)).debt_index
        return health.debt_up(slot.scaled_debt, index)

    def _trader(self, position: int) -> int:
        """The owner, often; an operator, at times; anybody, now and then."""
        shape = self.rng.random()
        if shape < 0.75:
            return position >> 96
        if shape < 0.95:
            return self.rng.choice(self.cast.operators)
        return self.rng.choice(self.cast.everyone)

    def _data(self, caller: int) -> bytes:
        if caller == self.cast.contract_trader:
            return CALLBACK_DATA
        return b"nobody" if self.rng.random() < 0.01 else b""

    def _adjust(self) -> Action:
        position = self.rng.choice(self.positions)
        slot = self._slot(position)
        caller = self._trader(position)
        draw = self.rng.choice(
            (self._open, self._borrow_more, self._withdraw_collateral, self._delever, self._any)
            if slot.collateral
            else (self._open, self._open, self._open, self._any)
        )
        collateral_delta, debt_delta = draw(position, slot)
        receiver = self._receiver(caller)
        args = (position, collateral_delta, debt_delta, receiver, self._data(caller))
        return Action("adjust", caller, args)

    def _open(self, _position: int, _slot: PositionSlot) -> tuple[int, int]:
        assets = self._assets()
        share = self.rng.choice((0, self.rng.random(), self.rng.uniform(0.9, 1.01)))
        return self._collateral(assets), int(assets * share * self.mirror.params.initial_ltv // WAD)

    def _borrow_more(self, position: int, slot: PositionSlot) -> tuple[int, int]:
        try:
            most = self.mirror.max_borrow(self._call(0), position)
        except RevertError:
            most = self._assets()
        added = self.rng.choice((0, 0, slot.collateral // 10))
        return added, most + self.rng.choice((-(most // 3), 0, 0, 1)) or 1

    def _withdraw_collateral(self, position: int, slot: PositionSlot) -> tuple[int, int]:
        try:
            most = self.mirror.max_withdraw_collateral(self._call(0), position)
        except RevertError:
            most = slot.collateral
        most += self.rng.choice((-(most // 3), 0, 0, 1))
        return -most, self.rng.choice((0, 0, 0, -self._assets()))

    def _delever(self, position: int, slot: PositionSlot) -> tuple[int, int]:
        """Debt and collateral down in step (reduce-only), or as far as an operator may go."""
        debt = self._debt(slot)
        repaid = self._part(debt)
        if not debt or self.rng.random() < 0.3:
            return -self._part(slot.collateral), -repaid
        if self.rng.random() < 0.5:
            removed = slot.collateral * repaid // debt
            return -max(removed + self.rng.choice((-1, 0, 0, 1)), 0), -repaid
        bound = self.mirror.operator_permissions(position >> 96, self.cast.operators[0])[1]
        worth = repaid * (10_000 + bound) // 10_000
        high = max(self.twin.quote[1], 1)
        removed = worth * PRICE_SCALE // high + self.rng.choice((-1, 0, 1))
        return -max(min(removed, slot.collateral), 0), -repaid

    def _any(self, _position: int, slot: PositionSlot) -> tuple[int, int]:
        collateral = self.rng.choice((0, 1, -1)) * self._part(
            slot.collateral or self._collateral(self._assets())
        )
        debt = self.rng.choice((0, 1, -1)) * self.rng.choice(
            (self._assets(), self._part(self._debt(slot)), 2**127, -MIN_INT256)
        )
        return collateral, max(min(debt, MAX_INT256), MIN_INT256)

    def _top_up(self) -> Action:
        position = self.rng.choice(self.positions)
        caller = self._who(*self.cast.owners, self.cast.stranger)
        return Action("top_up", caller, (position, self._collateral(self._assets())))

    def _repay(self) -> Action:
        position = self.rng.choice(self.positions)
        debt = self._debt(self._slot(position))
        min_debt = self.mirror.params.min_debt
        amount = self.rng.choice(
            (self._part(debt), MAX_UINT256, 1, max(debt - min_debt, 0) + self.rng.randint(0, 2))
        )
        caller = self._who(*self.cast.owners, self.cast.stranger)
        return Action("repay", caller, (position, amount))

    def _close(self) -> Action:
        position = self.rng.choice(self.positions)
        caller = self._trader(position)
        args = (position, self._receiver(caller), self._data(caller))
        return Action("close", caller, args)

    def _liquidate(self) -> Action:
        call = self._call(0)
        sick = []
        for one in self.positions:
            try:
                if not self.mirror.is_healthy(call, one):
                    sick.append(one)
            except RevertError:
                break
        position = self.rng.choice(sick or self.positions)
        debt = self._debt(self._slot(position))
        caller = self._who(*self.cast.liquidators)
        most = self.rng.choice(
            (MAX_UINT256, self._part(debt), self._part(debt), debt // 2, self.rng.randint(0, 50))
        )
        floor = self._part(self._slot(position).collateral) if self.rng.random() < 0.1 else 0
        args = (position, most, floor, self._receiver(caller), self._data(caller))
        return Action("liquidate", caller, args)

    # Lenders

    def _deposit(self) -> Action:
        caller = self._who(*self.cast.lenders[:2], self.cast.stranger)
        most = self.mirror.max_deposit(self._call(caller))
        amount = self._part(most) if self.rng.random() < 0.1 else self._assets()
        return Action("deposit", caller, (amount, self._receiver(caller)))

    def _mint(self) -> Action:
        caller = self._who(*self.cast.lenders[:2])
        shape = self.rng.random()
        shares = self._assets()
        if shape < 0.1:
            shares = self._part(self.mirror.max_mint(self._call(caller)))
        elif shape < 0.15:
            shares = 2**104 - 1
        return Action("mint", caller, (shares, self._receiver(caller)))

    def _withdraw(self) -> Action:
        owner = self.rng.choice(self.cast.lenders)
        caller = self._who(owner, owner, *self.cast.lenders)
        most = self.mirror.max_withdraw(self._call(caller), owner)
        amount = self._part(most) if self.rng.random() < 0.7 else self._assets()
        return Action("withdraw", caller, (amount, self._receiver(caller), owner))

    def _redeem(self) -> Action:
        owner = self.rng.choice(self.cast.lenders)
        caller = self._who(owner, owner, *self.cast.lenders)
        most = self.mirror.max_redeem(self._call(caller), owner)
        shares = self._part(self.rng.choice((most, self.mirror.balance_of(owner))))
        return Action("redeem", caller, (shares, self._receiver(caller), owner))

    def _transfer(self) -> Action:
        owner = self._who(*self.cast.lenders)
        amount = self._part(self.mirror.balance_of(owner))
        receiver = self.rng.choice((*self.cast.lenders, 0))
        return Action("transfer", owner, (receiver, amount))

    def _transfer_from(self) -> Action:
        owner = self.rng.choice(self.cast.lenders)
        caller = self._who(*self.cast.lenders)
        most = min(self.mirror.balance_of(owner), self.mirror.allowance(owner, caller))
        return Action(
            "transferFrom", caller, (owner, self._who(*self.cast.lenders), self._part(most))
        )

    def _approve(self) -> Action:
        owner = self.rng.choice(self.cast.lenders)
        amount = self.rng.choice((0, self._assets(), MAX_UINT256))
        return Action("approve", owner, (self.rng.choice(self.cast.lenders), amount))

    # Signatures

    def _permit(self) -> Action:
        owner = self.rng.choice(self.cast.lenders[:2])
        spender = self.rng.choice(self.cast.lenders)
        return self._signed("permit", owner, (owner, spender, self._assets()))

    def _set_operator_with_signature(self) -> Action:
        owner = self.rng.choice((self.cast.owners[0], self.cast.owners[1], self.cast.wallet))
        fields = (owner, self.rng.choice(self.cast.operators), *self._permission())
        return self._signed("set_operator_with_signature", owner, fields)

    def _signed(self, name: str, owner: int, fields: tuple[int, ...]) -> Action:
        """A signed call: good, or by another, over another nonce, too late."""
        nonce = self.mirror.nonces(owner)
        signer = owner
        deadline = self.twin.now + self.rng.choice((0, DAY))
        shape = self.rng.random()
        if shape < 0.1:
            nonce += 1
        elif shape < 0.2:
            signer = self.cast.stranger
        elif shape < 0.3:
            deadline = self.twin.now - 1
        message = (*fields, nonce, deadline)
        v, r, s = sign(name, self.cast.keys[signer], message, self.twin.domain)
        args = (*fields, deadline, v, r, s)
        return Action(name, self._who(owner, self.cast.stranger), args, message, signer)

    def _permission(self) -> tuple[int, int]:
        return self.rng.randint(0, 7), self.rng.choice((0, 50, 100, 500, 10_000, 10_001))

    def _set_operator(self) -> Action:
        owner = self.rng.choice(self.cast.owners)
        return Action(
            "set_operator", owner, (self.rng.choice(self.cast.operators), *self._permission())
        )

    # Books and authority

    def _accrue(self) -> Action:
        return Action("accrue", self.cast.stranger, ())

    def _fund_reserve(self) -> Action:
        amount = self._assets() // self.rng.choice((1, 100)) or 1
        return Action(
            "fund_reserve", self._who(self.cast.lenders[0], self.cast.stranger), (amount,)
        )

    def _governor(self) -> int:
        return self._who(self.mirror.curator, self.mirror.curator, self.mirror.guardian)

    def _set_caps(self) -> Action:
        sheet = self.mirror.current_sheet(self._call(0))
        debt = sheet.total_scaled_debt * sheet.debt_index // WAD
        full = 2**104 - 1
        supply_cap = self.rng.choice((full, full, full, sheet.cash + debt + self._assets(), 2**104))
        debt_cap = self.rng.choice((full, full, full, debt + self._assets(), 0))
        return Action("set_caps", self._governor(), (supply_cap, debt_cap))

    def _pause(self) -> Action:
        until = self.twin.now + self.rng.choice((0, 0, 0, 60, 3_600, 7 * DAY, 7 * DAY + 1, -1))
        if self.rng.random() < 0.5:
            return Action("pause_new_risk", self.mirror.curator, (self.twin.now,))
        return Action("pause_new_risk", self._governor(), (until,))

    def _set_guardian(self) -> Action:
        guardian = self.rng.choice((self.twin.guardian, self.cast.stranger))
        return Action("set_guardian", self._governor(), (guardian,))

    def _transfer_curator(self) -> Action:
        heir = self.rng.choice((self.twin.curator, self.twin.guardian, self.cast.stranger))
        return Action("transfer_curator", self._governor(), (heir,))

    def _accept_curator(self) -> Action:
        return Action("accept_curator", self._who(self.mirror.pending_curator or 1), ())

    def _announce(self) -> Action:
        sheet = self.mirror.current_sheet(self._call(0))
        surplus = sheet.cash * WAD + sheet.total_scaled_debt * sheet.debt_index
        surplus -= sheet.total_shares * sheet.supply_index
        amount = self._part(surplus // WAD // self.rng.choice((1, 2, 10)))
        return Action("announce_reserve_collection", self._governor(), (amount,))

    def _collect(self) -> Action:
        announced = self.mirror.pending_collection()[1]
        receiver = self._receiver(self.cast.stranger)
        action = Action("collect_reserve", self._governor(), (receiver,))
        wait = announced + self.rng.choice((3 * DAY - 1, 3 * DAY, 10 * DAY, 10 * DAY + 1))
        if announced and wait > self.twin.now and self.rng.random() < 0.5:
            self._queue.append(lambda: action)
            return Action("warp", 0, (wait - self.twin.now,))
        return action

    # World

    def _warp(self) -> Action:
        seconds = self.rng.choice(
            (1, 12, 12, 60, 3_600, 3_600, self.rng.randint(1, DAY), DAY, 30 * DAY)
        )
        if self.rng.random() < 0.004:
            seconds = self.rng.choice((10, 100)) * 365 * DAY
        return Action("warp", 0, (seconds,))

    def _set_quote(self) -> Action:
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

    def _price_of_a_position(self) -> None:
        """The price at which some position stands on its threshold, a unit off, or insolvent."""
        position = self.rng.choice(self.positions)
        slot = self._slot(position)
        if not slot.scaled_debt:
            return
        self._queue.append(self._liquidate)
        threshold = self.mirror.liquidation_price(self._call(0), position)
        percent = self.rng.choice((100, 100, 99, 98, 97, 95, 92, 85))
        self.price = threshold * percent // 100 + self.rng.choice((-1, 0, 1))

    def _break_oracle(self) -> Action:
        how = 0 if self.twin.oracle_is_broken else self.rng.randint(1, 3)
        if how:
            self._queue += [*[self._adjust] * 4, self._liquidate]
            self._queue.append(lambda: Action("break_oracle", 0, (0,)))
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
            self._queue += [self._liquidate, lambda: restored]
        return Action("allow", who, (token, amount))

    # Wrong on purpose

    def _spoil(self, action: Action) -> Action:
        """Replace one argument by an edge of its width, or the caller by anybody."""
        indexes = [
            index
            for index, value in enumerate(action.args)
            if isinstance(value, int) and action.signed is None
        ]
        if action.name in ("warp", "set_quote", "break_oracle", "break_rate", "give", "allow"):
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

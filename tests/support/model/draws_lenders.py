"""Draws of what lenders, signers, curator and guardian do."""

from __future__ import annotations

from ringfence.math.fixed_point import MAX_UINT256, WAD
from ringfence.math.operators import REDUCE
from tests.support.model.actions import Action, sign
from tests.support.model.cast import DAY
from tests.support.model.draws import Draws


class LenderDraws(Draws):
    """Shares, signatures, the reserve and the limits."""

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
        owner = self.rng.choice((*self.cast.lenders[:2], 0))
        spender = self.rng.choice(self.cast.lenders)
        return self._signed("permit", owner, (owner, spender, self._assets()))

    def _set_operator_with_signature(self) -> Action:
        owner = self.rng.choice((self.cast.owners[0], self.cast.owners[1], self.cast.wallet))
        fields = (owner, self.rng.choice(self.cast.operators), *self._permission())
        return self._signed("set_operator_with_signature", owner, fields)

    def _signed(self, name: str, owner: int, fields: tuple[int, ...]) -> Action:
        """A signed call: good, or by another, over another nonce, too late."""
        nonce = self.mirror.nonces(owner)
        signer = owner or self.cast.stranger
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
        caller = self._who(owner or self.cast.stranger, self.cast.stranger)
        return Action(name, caller, args, message, signer)

    def _permission(self) -> tuple[int, int]:
        """Draw what an operator may do: any of it, or reduce alone, which has a loss bound."""
        permissions = self.rng.choice((REDUCE, self.rng.randint(0, 7)))
        return permissions, self.rng.choice((0, 50, 100, 500, 10_000, 10_001))

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
        again = self.mirror.load_limits().paused_until + 7 * DAY
        if again > self.twin.now and self.rng.random() < 0.4:
            until = again + 60
            self.queue.append(lambda: Action("pause_new_risk", self.mirror.guardian, (until,)))
            wait = again - self.twin.now - self.rng.randint(0, 1)
            return Action("warp", 0, (wait,))
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
            self.queue.append(lambda: action)
            return Action("warp", 0, (wait - self.twin.now,))
        return action

"""Questions put to copies of the mirror: what would have happened otherwise, and what still could.

The mirror equals the contract to the bit, so that its answers are the contract's.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from ringfence.math.balance_sheet import MAX_CASH
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.vault import MarginVault
from tests.support.model.actions import VAULT_CALLS, Action
from tests.support.model.cast import PLENTY, Cast
from tests.support.model.liquidation_rules import require
from tests.support.model.twin import Twin

SPLIT_ARGUMENT = {
    "deposit": 0,
    "mint": 0,
    "withdraw": 0,
    "redeem": 0,
    "repay": 1,
    "liquidate": 1,
    "adjust": 2,
}
"""The argument of an entry point that may be paid in parts."""


class WhatIf:
    """Tries things on copies of a twin's mirror."""

    def __init__(self, twin: Twin, cast: Cast, positions: list[int], rng: Random) -> None:
        self.twin = twin
        self.cast = cast
        self.positions = positions
        self.rng = rng

    def ask(self, action: Action) -> None:
        """Put one question, before an action that is about to happen."""
        if action.name in VAULT_CALLS and self.rng.random() < 0.5:
            self.rng.choice((self._accrues_first, self._splits))(action)
        else:
            self.rng.choice(
                (self.lender_limits, self._round_trip, self.trader_limits, self._exit)
            )()

    # Of an action

    def _accrues_first(self, action: Action) -> None:
        """BOOK-6: any operation equals accrue-then-operation; accruing twice equals once."""
        plain, accrued = self.twin.copy(), self.twin.copy()
        poke = Action("accrue", self.cast.stranger, ())
        self.twin.run_on(accrued, poke)
        self.twin.run_on(accrued, poke)
        outcomes = [self.twin.run_on(vault, action) for vault in (plain, accrued)]
        require(outcomes[0] == outcomes[1], "BOOK-6: accruing first changed an operation")
        self.twin.run_on(plain, poke)
        self.twin.run_on(accrued, poke)
        same = _words(plain) == _words(accrued)
        require(same, "BOOK-6: accruing first changed what an operation leaves")

    def _splits(self, action: Action) -> None:
        """RND-3: two parts never pay the caller more than one."""
        where = SPLIT_ARGUMENT.get(action.name)
        if where is None or abs(action.args[where]) < 2 or abs(action.args[where]) >= 2**127:
            return
        if action.name == "adjust" and (action.args[1] or action.args[2] < 0):
            return
        amount = action.args[where]
        part = self.rng.randint(1, amount - 1)
        whole, split = self.twin.copy(), self.twin.copy()
        one, reason = self.twin.run_on(whole, action)
        parts = []
        for piece in (part, amount - part):
            args = (*action.args[:where], piece, *action.args[where + 1 :])
            value, refused = self.twin.run_on(split, replace(action, args=args))
            parts.append(value)
            reason = reason or refused
        if reason is not None:
            return
        self._compare_split(action, one, parts, whole, split)

    def _compare_split(
        self,
        action: Action,
        one: int | tuple[int, int],
        parts: list[int | tuple[int, int]],
        whole: MarginVault,
        split: MarginVault,
    ) -> None:
        message = f"RND-3: {action.name} pays more in parts"
        match action.name, one:
            case (("deposit" | "redeem"), int()):
                require(sum(_number(part) for part in parts) <= one, message)
            case (("mint" | "withdraw"), int()):
                require(sum(_number(part) for part in parts) >= one, message)
            case "repay", int():
                left = [vault.load_position(action.args[0]).scaled_debt for vault in (whole, split)]
                if left[1] <= left[0]:
                    require(sum(_number(part) for part in parts) >= one, message)
            case "liquidate", (seized, paid):
                pairs = [part for part in parts if isinstance(part, tuple)]
                high = self.twin.quote[1]
                at_once = seized * high - paid * PRICE_SCALE
                in_parts = sum(pair[0] * high - pair[1] * PRICE_SCALE for pair in pairs)
                # Whole units of collateral: the same ones may cost less, never one of them.
                require(in_parts < at_once + high, message)
            case "adjust", _:
                owed = [vault.load_position(action.args[0]).scaled_debt for vault in (whole, split)]
                require(owed[1] >= owed[0], message)

    # Of the state

    def _rich(self, vault: MarginVault) -> int:
        """A lender without limits, on a copy."""
        lender = self.cast.lenders[self.rng.randint(0, 1)]
        vault.asset.mint(lender, PLENTY)
        vault.asset.approve(lender, vault.address, MAX_UINT256)
        return lender

    def lender_limits(self) -> None:
        """RND-1: max* never revert and are usable."""
        for name, most in (
            ("deposit", "max_deposit"),
            ("mint", "max_mint"),
            ("withdraw", "max_withdraw"),
            ("redeem", "max_redeem"),
        ):
            vault = self.twin.copy()
            lender = self._rich(vault)
            call = self.twin.call_by(lender)
            leaves = name in ("withdraw", "redeem")
            amount = getattr(vault, most)(call, *([lender] if leaves else []))
            if amount:
                args = (amount, lender, lender) if leaves else (amount, lender)
                reason = self.twin.run_on(vault, Action(name, lender, args))[1]
                require(reason is None, f"RND-1: {most} is not usable: {reason}")

    def _round_trip(self) -> None:
        """RND-1: in and out, or out and in, at one moment never profits; previews are exact."""
        vault = self.twin.copy()
        lender = self._rich(vault)
        call = self.twin.call_by(lender)
        amount = int(self.twin.setting.min_debt * 10 ** self.rng.uniform(-3, 4)) + 1
        previewed = vault.preview_deposit(call, amount)
        shares, reason = self.twin.run_on(vault, Action("deposit", lender, (amount, lender)))
        if reason is None:
            require(shares == previewed, "RND-1: previewDeposit is not exact")
            previewed = vault.preview_redeem(call, shares)
            back, reason = self.twin.run_on(
                vault, Action("redeem", lender, (shares, lender, lender))
            )
            require(reason is None, f"RND-1: fresh shares cannot be redeemed: {reason}")
            require(back == previewed, "RND-1: previewRedeem is not exact")
            require(back <= amount, "RND-1: deposit and redeem profits")
        most = min(vault.max_withdraw(call, lender), amount)
        if most:
            burnt, _ = self.twin.run_on(vault, Action("withdraw", lender, (most, lender, lender)))
            minted, reason = self.twin.run_on(vault, Action("deposit", lender, (most, lender)))
            require(reason is not None or minted <= burnt, "RND-1: withdraw and deposit profits")

    def trader_limits(self) -> None:
        """`max_borrow` and `max_withdraw_collateral` are usable; RND-2: repaying costs no less."""
        position = self.rng.choice(self.positions)
        owner = position >> 96
        call = self.twin.call_by(owner)
        vault = self.twin.copy()
        try:
            lent = vault.max_borrow(call, position)
            freed = vault.max_withdraw_collateral(call, position)
        except RevertError:
            return
        if freed:
            out = Action("adjust", owner, (position, -freed, 0, owner, b""))
            reason = self.twin.run_on(self.twin.copy(), out)[1]
            require(reason is None, f"LIQ-1: max_withdraw_collateral is not usable: {reason}")
        if not lent:
            return
        before = vault.position(call, position).debt
        reason = self.twin.run_on(vault, Action("adjust", owner, (position, 0, lent, owner, b"")))[
            1
        ]
        if reason == "vault is full":  # the view knows the caps, not the width of the books
            return
        require(reason is None, f"LIQ-1: max_borrow is not usable: {reason}")
        owed = vault.position(call, position).debt
        lender = self._rich(vault)
        paid = self.twin.run_on(vault, Action("repay", lender, (position, MAX_UINT256)))[0]
        index = vault.current_sheet(call).debt_index
        require(paid == owed, "RND-2: repaying all does not cost what is owed")
        require(paid >= lent, "RND-2: borrowing and repaying profits")
        require(owed - before <= lent - (-index // WAD), "RND-2: borrowing adds too much debt")

    def _exit(self) -> None:
        """LIVE-6: anyone can repay a position in full, then its owner can take everything out.

        Whatever the oracle and the rate model do, and whoever paused.
        """
        vault = self.twin.copy()
        helper = self._rich(vault)
        position = self.rng.choice(self.positions)
        call = self.twin.call_by(helper)
        cash_after = vault.current_sheet(call).cash + vault.position(call, position).debt
        reason = self.twin.run_on(vault, Action("repay", helper, (position, MAX_UINT256)))[1]
        if cash_after > MAX_CASH:
            require(reason == "books exceed their width", f"LIVE-5: cash overflows: {reason}")
            return
        require(reason is None, f"LIVE-6: a position cannot be repaid: {reason}")
        slot = vault.load_position(position)
        require(slot.scaled_debt == 0, "LIVE-6: repaying all left debt")
        owner = position >> 96
        args = (position, owner, b"")
        value, reason = self.twin.run_on(vault, Action("close", owner, args))
        require(reason is None, f"LIVE-6: a repaid position cannot be closed: {reason}")
        require(value == (-slot.collateral, 0), "LIVE-6: closing did not return everything")


def _words(vault: MarginVault) -> dict[object, int]:
    return {cell: word for cell, word in vault.storage.words.items() if word}


def _number(value: int | tuple[int, int]) -> int:
    return value if isinstance(value, int) else 0

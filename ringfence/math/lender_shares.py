"""The lender side: ERC-4626, ERC-20 and ERC-2612 over the books.

Mirrors contracts/modules/lender_shares.vy. A share is worth the supply index, 1e18, never a
balance (BOOK-5); conversions round against the caller (RND-1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ringfence.math.balance_sheet import (
    MAX_ASSETS,
    MAX_SHARES,
    BalanceSheet,
    scaled_claims,
    total_debt_up,
)
from ringfence.math.errors import (
    RevertError,
    check_cash,
    check_not_zero,
    check_receiver,
    check_shares,
    check_width,
    checked,
)
from ringfence.math.fixed_point import MAX_UINT256, WAD, WAD_UP, div_up
from ringfence.math.limits import check_not_paused, is_paused
from ringfence.math.signatures import Signatures
from ringfence.math.vault_state import Call, entry_point

MIN_SUPPLY_INDEX = 10**12
"""Below it, 1e18, after a near-total loss, a share is too fine a unit to sell."""

BALANCE = "lender_shares.balanceOf"
ALLOWANCE = "lender_shares.allowance"


def to_shares_down(assets: int, supply_index: int) -> int:
    """Return floor(assets * 1e18 / supply_index), shares; 0 when shares are worthless."""
    if supply_index == 0:
        return 0
    return checked(assets * WAD) // supply_index


def to_shares_up(assets: int, supply_index: int) -> int:
    """Return ceil(assets * 1e18 / supply_index), shares; too many when they are worthless."""
    if supply_index == 0:
        return MAX_ASSETS
    return div_up(checked(assets * WAD), supply_index)


def to_assets_down(shares: int, supply_index: int) -> int:
    """Return floor(shares * supply_index / 1e18), asset units."""
    return checked(shares * supply_index) // WAD


def to_assets_up(shares: int, supply_index: int) -> int:
    """Return ceil(shares * supply_index / 1e18), asset units."""
    return checked(shares * supply_index + WAD_UP) // WAD


class LenderShares(Signatures):
    """Lenders' entry points and views; amounts in asset units or shares."""

    # Fund

    @entry_point
    def deposit(self, call: Call, assets: int, receiver: int) -> int:
        """Pull assets from the caller and return the shares that `receiver` gets."""
        return self._enter(call, assets, 0, receiver)[1]

    @entry_point
    def mint(self, call: Call, shares: int, receiver: int) -> int:
        """Give `receiver` shares and return the assets pulled from the caller."""
        return self._enter(call, 0, shares, receiver)[0]

    @entry_point
    def withdraw(self, call: Call, assets: int, receiver: int, owner: int) -> int:
        """Send assets to `receiver` and return the owner's shares that were burnt."""
        return self._leave(call, assets, 0, receiver, owner)[1]

    @entry_point
    def redeem(self, call: Call, shares: int, receiver: int, owner: int) -> int:
        """Burn the owner's shares and return the assets that `receiver` got."""
        return self._leave(call, 0, shares, receiver, owner)[0]

    def _enter(self, call: Call, assets: int, shares: int, receiver: int) -> tuple[int, int]:
        """Take assets for new shares; one of the amounts is given, the other is 0 and follows."""
        sheet = self.accrue_in_memory(call)
        check_width(assets | shares)
        if assets:
            shares = to_shares_down(assets, sheet.supply_index)
        else:
            assets = to_assets_up(shares, sheet.supply_index)
        if sheet.supply_index < MIN_SUPPLY_INDEX:
            raise RevertError("supply index is too low")
        check_not_zero(shares)
        check_receiver(receiver)
        fields = self.load_limits()
        check_not_paused(fields, call.now)
        if sheet.cash + total_debt_up(sheet) + assets > fields.supply_cap:
            raise RevertError("supply cap is full")
        self.store_accrued(
            replace(sheet, cash=sheet.cash + assets, total_shares=sheet.total_shares + shares)
        )
        self._set_shares(receiver, self.balance_of(receiver) + shares)
        self.pull(self.asset, call.caller, assets)
        self.log("Deposit", sender=call.caller, owner=receiver, assets=assets, shares=shares)
        self.log("Transfer", sender=0, receiver=receiver, value=shares)
        return assets, shares

    def _leave(
        self, call: Call, assets: int, shares: int, receiver: int, owner: int
    ) -> tuple[int, int]:
        """Pay assets for shares; one of the amounts is given, the other is 0 and follows."""
        sheet = self.accrue_in_memory(call)
        check_width(assets | shares)
        if assets:
            shares = to_shares_up(assets, sheet.supply_index)
        else:
            assets = to_assets_down(shares, sheet.supply_index)
        check_not_zero(shares)
        if call.caller != owner:
            self._spend_allowance(owner, call.caller, shares)
        balance = self.balance_of(owner)
        check_shares(shares, balance)
        check_cash(assets, sheet.cash)
        self._set_shares(owner, balance - shares)
        self.store_accrued(
            replace(sheet, cash=sheet.cash - assets, total_shares=sheet.total_shares - shares)
        )
        self.push(self.asset, receiver, assets)
        self.log(
            "Withdraw",
            sender=call.caller,
            receiver=receiver,
            owner=owner,
            assets=assets,
            shares=shares,
        )
        self.log("Transfer", sender=owner, receiver=0, value=shares)
        return assets, shares

    # Hand on

    @entry_point
    def transfer(self, call: Call, receiver: int, amount: int) -> bool:
        """Send the caller's shares."""
        self._transfer(call.caller, receiver, amount)
        return True

    @entry_point
    def transfer_from(self, call: Call, owner: int, receiver: int, amount: int) -> bool:
        """Send shares that the owner lets the caller send."""
        self._spend_allowance(owner, call.caller, amount)
        self._transfer(owner, receiver, amount)
        return True

    @entry_point
    def approve(self, call: Call, spender: int, amount: int) -> bool:
        """Let `spender` move the caller's shares; the largest amount never runs down."""
        self._approve(call.caller, spender, amount)
        return True

    @entry_point
    def permit(
        self,
        call: Call,
        owner: int,
        spender: int,
        amount: int,
        deadline: int,
        is_signed: Callable[[int], bool],
    ) -> None:
        """Approve what the owner signed; `is_signed` says whether it was, with a given nonce."""
        nonce = self.use_nonce(call, owner, deadline)
        self.check_signature(owner, nonce, is_signed)
        self._approve(owner, spender, amount)

    def _transfer(self, owner: int, receiver: int, amount: int) -> None:
        check_receiver(receiver)
        balance = self.balance_of(owner)
        check_shares(amount, balance)
        self._set_shares(owner, balance - amount)
        self._set_shares(receiver, self.balance_of(receiver) + amount)
        self.log("Transfer", sender=owner, receiver=receiver, value=amount)

    def _approve(self, owner: int, spender: int, amount: int) -> None:
        self.storage.store((self.address, ALLOWANCE, owner, spender), amount)
        self.log("Approval", owner=owner, spender=spender, value=amount)

    def _spend_allowance(self, owner: int, spender: int, amount: int) -> None:
        allowed = self.allowance(owner, spender)
        if allowed != MAX_UINT256:
            if amount > allowed:
                raise RevertError("not enough allowance")
            self.storage.store((self.address, ALLOWANCE, owner, spender), allowed - amount)

    def _set_shares(self, owner: int, shares: int) -> None:
        self.storage.store((self.address, BALANCE, owner), shares)

    # Read

    def balance_of(self, owner: int) -> int:
        """Return a lender's shares."""
        return self.storage.load((self.address, BALANCE, owner))

    def allowance(self, owner: int, spender: int) -> int:
        """Return the shares that `spender` may move."""
        return self.storage.load((self.address, ALLOWANCE, owner, spender))

    def total_assets(self, call: Call) -> int:
        """Return what lenders are owed, asset units."""
        return scaled_claims(self.current_sheet(call)) // WAD

    def preview_deposit(self, call: Call, assets: int) -> int:
        """Return the shares for a deposit; `convertToShares` is the same."""
        return to_shares_down(assets, self.current_sheet(call).supply_index)

    def preview_mint(self, call: Call, shares: int) -> int:
        """Return the assets that minting pulls."""
        return to_assets_up(shares, self.current_sheet(call).supply_index)

    def preview_withdraw(self, call: Call, assets: int) -> int:
        """Return the shares that a withdrawal burns."""
        return to_shares_up(assets, self.current_sheet(call).supply_index)

    def preview_redeem(self, call: Call, shares: int) -> int:
        """Return the assets for shares; `convertToAssets` is the same."""
        return to_assets_down(shares, self.current_sheet(call).supply_index)

    def max_deposit(self, call: Call) -> int:
        """Return what may be deposited now, asset units."""
        return self._max_deposit(call, self.current_sheet(call))

    def max_mint(self, call: Call) -> int:
        """Return what may be minted now, shares."""
        sheet = self.current_sheet(call)
        return to_shares_down(self._max_deposit(call, sheet), sheet.supply_index)

    def max_withdraw(self, call: Call, owner: int) -> int:
        """Return what a lender may withdraw now, asset units."""
        sheet = self.current_sheet(call)
        return min(to_assets_down(self.balance_of(owner), sheet.supply_index), sheet.cash)

    def max_redeem(self, call: Call, owner: int) -> int:
        """Return what a lender may redeem now, shares."""
        sheet = self.current_sheet(call)
        return min(self.balance_of(owner), to_shares_down(sheet.cash, sheet.supply_index))

    def _max_deposit(self, call: Call, sheet: BalanceSheet) -> int:
        fields = self.load_limits()
        supply = sheet.cash + total_debt_up(sheet)
        if (
            sheet.supply_index < MIN_SUPPLY_INDEX
            or is_paused(fields, call.now)
            or supply >= fields.supply_cap
        ):
            return 0
        room = to_assets_down(MAX_SHARES - sheet.total_shares, sheet.supply_index)
        largest = min(fields.supply_cap - supply, room)
        return largest if to_shares_down(largest, sheet.supply_index) else 0

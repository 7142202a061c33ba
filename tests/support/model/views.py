"""The vault's views beside the mirror's, with arguments drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from ringfence.math.fixed_point import MAX_UINT256
from ringfence.math.vault_state import Call
from tests.support.model.actions import as_address, domain_separator
from tests.support.model.cast import EDGES, Cast
from tests.support.model.twin import Twin


class Views:
    """Compares one view at a time."""

    def __init__(self, twin: Twin, cast: Cast, positions: list[int], rng: Random) -> None:
        self.twin = twin
        self.cast = cast
        self.positions = positions
        self.rng = rng
        mirror = twin.mirror
        one: dict[str, Callable[[Call, int], Any]] = {
            "position": mirror.position,
            "ltv": mirror.ltv,
            "is_healthy": mirror.is_healthy,
            "liquidation_price": mirror.liquidation_price,
            "max_borrow": mirror.max_borrow,
            "max_withdraw_collateral": mirror.max_withdraw_collateral,
            "slot": lambda _call, position: mirror.load_word(position),
        }
        amounts: dict[str, Callable[[Call, int], int]] = {
            "previewDeposit": mirror.preview_deposit,
            "convertToShares": mirror.preview_deposit,
            "previewMint": mirror.preview_mint,
            "previewWithdraw": mirror.preview_withdraw,
            "previewRedeem": mirror.preview_redeem,
            "convertToAssets": mirror.preview_redeem,
        }
        lenders: dict[str, Callable[[Call, int], int]] = {
            "maxWithdraw": mirror.max_withdraw,
            "maxRedeem": mirror.max_redeem,
            "maxDeposit": lambda call, _lender: mirror.max_deposit(call),
            "maxMint": lambda call, _lender: mirror.max_mint(call),
            "balanceOf": lambda _call, lender: mirror.balance_of(lender),
            "nonces": lambda _call, lender: mirror.nonces(lender),
        }
        nothing: dict[str, Callable[[Call], Any]] = {
            "current_balance_sheet": mirror.current_sheet,
            "current_limits": lambda _call: mirror.load_limits(),
            "totalAssets": mirror.total_assets,
            "totalSupply": lambda _call: mirror.load_sheet().total_shares,
            "pending_collection": lambda _call: mirror.pending_collection(),
            "curator": lambda _call: mirror.curator,
            "guardian": lambda _call: mirror.guardian,
            "pending_curator": lambda _call: mirror.pending_curator,
            "asset": lambda _call: mirror.params.asset,
            "parameters": lambda _call: mirror.params,
            "DOMAIN_SEPARATOR": lambda _call: domain_separator(twin.domain),
        }
        self._positions, self._amounts = list(one.items()), list(amounts.items())
        self._lenders, self._nothing = list(lenders.items()), list(nothing.items())
        self._draws = (
            self._of_position,
            self._of_position,
            self._of_amount,
            self._of_lender,
            self._of_nothing,
            self._preview_liquidation,
            self._of_pair,
        )

    def compare_one(self) -> None:
        """Draw a view and its arguments; raise MismatchError when the answers differ."""
        self.rng.choice(self._draws)(self.twin.call_by(0))

    def compare_all(self) -> None:
        """Compare the views without arguments, and those of every position and of a lender."""
        call = self.twin.call_by(0)
        for name, mirrored in self._nothing:
            self.twin.view(name, (), lambda mirrored=mirrored: mirrored(call))
        for name, mirrored_one in self._positions:
            for position in self.positions:
                self._view_one(name, mirrored_one, call, position, position)
        lender = self.cast.lenders[0]
        for name, mirrored_one in self._lenders:
            self._view_one(name, mirrored_one, call, lender, as_address(lender))

    def _view_one(
        self, name: str, mirrored: Callable[[Call, int], Any], call: Call, number: int, arg: Any
    ) -> None:
        self.twin.view(name, (arg,), lambda: mirrored(call, number))

    def _of_position(self, call: Call) -> None:
        name, mirrored = self.rng.choice(self._positions)
        position = self.rng.choice(self.positions)
        self._view_one(name, mirrored, call, position, position)

    def _of_amount(self, call: Call) -> None:
        name, mirrored = self.rng.choice(self._amounts)
        # The last has a product with the index that fits, and no room left to round it up.
        last = MAX_UINT256 // max(self.twin.mirror.load_sheet().supply_index, 1)
        amount = self.rng.choice((*EDGES, int(10 ** self.rng.uniform(0, 32)), last))
        self._view_one(name, mirrored, call, amount, amount)

    def _of_lender(self, call: Call) -> None:
        name, mirrored = self.rng.choice(self._lenders)
        lender = self.rng.choice(self.cast.everyone)
        self._view_one(name, mirrored, call, lender, as_address(lender))

    def _of_nothing(self, call: Call) -> None:
        name, mirrored = self.rng.choice(self._nothing)
        self.twin.view(name, (), lambda: mirrored(call))

    def _preview_liquidation(self, call: Call) -> None:
        position = self.rng.choice(self.positions)
        most = self.rng.choice((*EDGES, int(10 ** self.rng.uniform(0, 32))))
        self.twin.view(
            "preview_liquidation",
            (position, most),
            lambda: self.twin.mirror.preview_liquidation(call, position, most),
        )

    def _of_pair(self, _call: Call) -> None:
        first, second = self.rng.choice(self.cast.owners), self.rng.choice(self.cast.everyone)
        args = as_address(first), as_address(second)
        mirror = self.twin.mirror
        self.twin.view("allowance", args, lambda: mirror.allowance(first, second))
        self.twin.view(
            "operator_permissions", args, lambda: mirror.operator_permissions(first, second)
        )

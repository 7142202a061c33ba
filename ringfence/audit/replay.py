"""A vault's words rebuilt from its events alone (BOOK-7).

Start at the vault's creation and apply each of its events, those of its constructor first, in the
order of the chain and with its block's timestamp. Positions, the two words of the books, the
limits, lenders' shares and operators come out exact: each event carries absolute words or exact
amounts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from ringfence.errors import RingfenceError
from ringfence.math.balance_sheet import BalanceSheet, pack
from ringfence.math.fixed_point import WAD
from ringfence.math.limits import Limits
from ringfence.math.position_slot import unpack

Args: TypeAlias = Mapping[str, Any]
"""An event's fields by name: integers; accounts in whatever form, the same throughout."""


class ReplayError(RingfenceError):
    """The events do not fit together: one is missing, doubled or out of order."""


class Replay:
    """The words of one vault, as far as its events have been applied.

    `positions` maps ids to words, those that are not zero; `shares` maps lenders to shares;
    `operators` maps (owner, operator) to (permissions, loss bound in bps).
    """

    def __init__(self, created_at: int) -> None:
        self.sheet = BalanceSheet(0, 0, created_at, 0, WAD, WAD)
        self.limits = Limits(0, 0, 0)
        self.positions: dict[int, int] = {}
        self.shares: dict[Any, int] = {}
        self.operators: dict[tuple[Any, Any], tuple[int, int]] = {}
        self._appliers: dict[str, Callable[[Args, int], None]] = {
            "Adjusted": self._adjusted,
            "ToppedUp": self._topped_up,
            "Liquidated": self._liquidated,
            "Accrued": self._accrued,
            "Deposit": self._deposit,
            "Withdraw": self._withdraw,
            "Transfer": self._transfer,
            "ReserveFunded": self._reserve_funded,
            "ReserveCollected": self._reserve_collected,
            "OperatorSet": self._operator_set,
            "CapsSet": self._caps_set,
            "NewRiskPaused": self._new_risk_paused,
        }

    @property
    def books(self) -> tuple[int, int]:
        """The two words of the books."""
        return pack(self.sheet)

    def apply(self, name: str, args: Args, timestamp: int) -> None:
        """Apply one event, logged at `timestamp`, unix seconds; one that moves no word is ignored.

        Raises ReplayError when the event cannot follow those before it.
        """
        if applier := self._appliers.get(name):
            applier(args, timestamp)
            if self.sheet.cash < 0 or self.sheet.total_scaled_debt < 0:
                raise ReplayError(f"{name} takes more than there is; an event before it is missing")

    def _adjusted(self, args: Args, timestamp: int) -> None:
        scaled = self._set_slot(args)
        if args["debt_delta"]:
            self._move(-args["debt_delta"], scaled)
            self._accrued(args, timestamp)

    def _topped_up(self, args: Args, _timestamp: int) -> None:
        if self._set_slot(args):
            raise ReplayError("a top-up changed a debt; an event before it is missing")

    def _liquidated(self, args: Args, timestamp: int) -> None:
        self._move(args["repaid"] + args["cut"], self._set_slot(args))
        self._accrued(args, timestamp)

    def _accrued(self, args: Args, timestamp: int) -> None:
        self.sheet = replace(
            self.sheet,
            last_accrual=timestamp,
            debt_index=args["debt_index"],
            supply_index=args["supply_index"],
        )

    def _deposit(self, args: Args, _timestamp: int) -> None:
        self._move(args["assets"], 0, args["shares"])

    def _withdraw(self, args: Args, _timestamp: int) -> None:
        self._move(-args["assets"], 0, -args["shares"])

    def _transfer(self, args: Args, _timestamp: int) -> None:
        for account, shares in (
            (args["sender"], -args["value"]),
            (args["receiver"], args["value"]),
        ):
            if account not in (0, "0x" + "00" * 20):
                self.shares[account] = self.shares.get(account, 0) + shares

    def _reserve_funded(self, args: Args, _timestamp: int) -> None:
        self._move(args["amount"], 0)

    def _reserve_collected(self, args: Args, _timestamp: int) -> None:
        self._move(-args["amount"], 0)

    def _operator_set(self, args: Args, _timestamp: int) -> None:
        key = args["owner"], args["operator"]
        self.operators[key] = args["permissions"], args["max_loss_bps"]

    def _caps_set(self, args: Args, _timestamp: int) -> None:
        self.limits = replace(self.limits, supply_cap=args["supply_cap"], debt_cap=args["debt_cap"])

    def _new_risk_paused(self, args: Args, _timestamp: int) -> None:
        self.limits = replace(self.limits, paused_until=args["until"])

    def _set_slot(self, args: Args) -> int:
        """Take over a position's absolute word; return by how much its scaled debt grew."""
        position, word = args["position_id"], args["slot"]
        before = self.positions.pop(position, 0)
        if word:
            self.positions[position] = word
        return unpack(word).scaled_debt - unpack(before).scaled_debt

    def _move(self, cash: int, scaled_debt: int, shares: int = 0) -> None:
        self.sheet = replace(
            self.sheet,
            cash=self.sheet.cash + cash,
            total_scaled_debt=self.sheet.total_scaled_debt + scaled_debt,
            total_shares=self.sheet.total_shares + shares,
        )

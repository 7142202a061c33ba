"""What every journey through the mirrored vault shares: parameters, words, events, the lock.

Accounts are the integers of their 20 bytes, as in a position's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from ringfence.math import accrual, balance_sheet, limits, position_slot, tokens
from ringfence.math.accrual import RateModel
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.errors import RevertError, check_price
from ringfence.math.fixed_point import WAD
from ringfence.math.limits import Limits
from ringfence.math.liquidation import RiskParams
from ringfence.math.position_slot import PositionSlot
from ringfence.math.storage import Storage
from ringfence.math.tokens import Token

WORD_1 = "balance_sheet._word_1"
WORD_2 = "balance_sheet._word_2"
LIMITS = "limits._word"
POSITIONS = "position_slot._words"

Callback: TypeAlias = Callable[[int, int, int, bytes], None]
"""The caller's contract: position id, two amounts as in IAdjustCallback, the data handed over."""


@dataclass(frozen=True, slots=True)
class VaultParams:
    """Everything about a market that can never change; mirrors IMarginVault.VaultParams.

    LTVs, bonus, beta and shares scaled 1e18, the rate per second 1e18, min_debt in asset units.
    """

    collateral_token: int
    asset: int
    oracle: int
    rate_model: int
    initial_ltv: int
    target_ltv: int
    liquidation_ltv: int
    base_bonus: int
    beta_max: int
    reserve_cut: int
    reserve_factor: int
    reserve_target: int
    fallback_rate: int
    min_debt: int

    @property
    def risk(self) -> RiskParams:
        """The parameters that a liquidation reads."""
        return RiskParams(
            self.liquidation_ltv,
            self.target_ltv,
            self.base_bonus,
            self.beta_max,
            self.reserve_cut,
            self.min_debt,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls and what the chain says then.

    `now` in unix seconds; `quote` is (low, high) in asset units per collateral unit scaled 1e36,
    or the reason why the oracle reverts; `callback` is the caller's code, None without.
    """

    caller: int
    now: int
    quote: tuple[int, int] | str
    rate_model: RateModel
    callback: Callback | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What a call logs: the event's name and its fields, accounts as integers."""

    name: str
    args: Mapping[str, int]


class VaultState:
    """The words of one vault, and what reads and writes them.

    `events` are those of the last call; a call that raises RevertError leaves none, and no trace.
    """

    def __init__(
        self,
        storage: Storage,
        address: int,
        params: VaultParams,
        collateral: Token,
        asset: Token,
    ) -> None:
        self.storage = storage
        self.address = address
        self.params = params
        self.risk = params.risk
        self.collateral = collateral
        self.asset = asset
        self.events: list[Event] = []
        self.locked = False

    def construct(self, now: int, supply_cap: int, debt_cap: int) -> None:
        """Write and log what the constructor does to books and limits."""
        self.store_sheet(BalanceSheet(0, 0, now, 0, WAD, WAD))
        self.store_limits(Limits(supply_cap, debt_cap, 0))
        self.log("CapsSet", supply_cap=supply_cap, debt_cap=debt_cap)

    def log(self, name: str, **args: int) -> None:
        """Append an event."""
        self.events.append(Event(name, args))

    def load_sheet(self) -> BalanceSheet:
        """Return the books as stored."""
        load = self.storage.load
        return balance_sheet.unpack(load((self.address, WORD_1)), load((self.address, WORD_2)))

    def store_sheet(self, sheet: BalanceSheet) -> None:
        """Write the books."""
        word_1, word_2 = balance_sheet.pack(sheet)
        self.storage.store((self.address, WORD_1), word_1)
        self.storage.store((self.address, WORD_2), word_2)

    def load_limits(self) -> Limits:
        """Return caps and pause."""
        return limits.unpack(self.storage.load((self.address, LIMITS)))

    def store_limits(self, fields: Limits) -> None:
        """Write caps and pause."""
        self.storage.store((self.address, LIMITS), limits.pack(fields))

    def load_word(self, position_id: int) -> int:
        """Return a position's word."""
        return self.storage.load((self.address, POSITIONS, position_id))

    def load_position(self, position_id: int) -> PositionSlot:
        """Return a position's fields."""
        return position_slot.unpack(self.load_word(position_id))

    def store_position(self, position_id: int, fields: PositionSlot) -> int:
        """Write a position and return its word."""
        return self.store_word(position_id, position_slot.stored_word(fields))

    def store_word(self, position_id: int, word: int) -> int:
        """Write a position's word and return it."""
        self.storage.store((self.address, POSITIONS, position_id), word)
        return word

    def preview(self, call: Call) -> tuple[BalanceSheet, bool]:
        """Return the books at the time of the call, and whether the rate model failed."""
        return accrual.preview(
            self.load_sheet(),
            call.now,
            call.rate_model,
            self.params.fallback_rate,
            self.params.reserve_factor,
        )

    def accrue_in_memory(self, call: Call) -> BalanceSheet:
        """Return the books at the time of the call; a failing rate model is logged."""
        sheet, failed = self.preview(call)
        if failed:
            self.log("RateModelFailed", fallback_rate=self.params.fallback_rate)
        return sheet

    def current_sheet(self, call: Call) -> BalanceSheet:
        """Return what the view `current_balance_sheet` shows."""
        return self.preview(call)[0]

    def store_accrued(self, sheet: BalanceSheet) -> None:
        """Write accrued books where no other event of the call carries the indices (BOOK-7)."""
        self.store_sheet(sheet)
        self.log("Accrued", debt_index=sheet.debt_index, supply_index=sheet.supply_index)

    def pull(self, token: Token, caller: int, amount: int) -> None:
        """Take `amount` token units from the caller."""
        tokens.pull(token, caller, self.address, amount)

    def push(self, token: Token, receiver: int, amount: int) -> None:
        """Send `amount` token units to `receiver`."""
        tokens.push(token, self.address, receiver, amount)


def quote_of(call: Call) -> tuple[int, int]:
    """Return the oracle's low and high; raise RevertError with its reason when it has none."""
    if isinstance(call.quote, str):
        raise RevertError(call.quote)
    low, high = call.quote
    if low > high:
        check_price(0)
    return low, high


def high_of(call: Call) -> int:
    """Return the price that decides liquidations; raise RevertError when it is zero."""
    high = quote_of(call)[1]
    check_price(high)
    return high


def call_back(call: Call, position_id: int, first: int, second: int, data: bytes) -> None:
    """Run the caller's code if data is given; a caller without code reverts."""
    if data:
        if call.callback is None:
            raise RevertError("")
        call.callback(position_id, first, second, data)


V = TypeVar("V", bound=VaultState)
P = ParamSpec("P")
R = TypeVar("R")


def entry_point(
    method: Callable[Concatenate[V, Call, P], R],
) -> Callable[Concatenate[V, Call, P], R]:
    """Make a method a transaction: locked against re-entry, undone when it raises RevertError."""

    @wraps(method)
    def run(vault: V, call: Call, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if vault.locked:
            raise RevertError("")
        vault.locked = True
        vault.events = []
        try:
            with vault.storage.transaction():
                return method(vault, call, *args, **kwargs)
        except RevertError:
            vault.events = []
            raise
        finally:
            vault.locked = False

    return run

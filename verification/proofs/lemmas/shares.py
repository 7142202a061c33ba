"""Lemmas on lenders' shares: lender_shares of ringfence/math and contracts/modules.

A share is worth I = supply_index / 1e18 asset units; W = 1e18. Lenders' entry points run whole, on
unknown books that accrual has brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ringfence.math import lender_shares
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.fixed_point import WAD
from ringfence.math.lender_shares import BALANCE, MIN_SUPPLY_INDEX
from verification.proofs.lemmas.given import BOOKS, assets, claims, sound_books
from verification.proofs.lemmas.proof import (
    Inputs,
    Program,
    Swap,
    Truth,
    all_of,
    lemma,
    properties,
    scaling,
)
from verification.proofs.lemmas.symbolic import Number
from verification.proofs.lemmas.vault import OWNER, UnknownVault, call_of, vault_of

MAX_AMOUNT = 2**113 - 1
"""What errors.check_width lets through."""


def _amount(v: Inputs) -> Iterable[Truth]:
    return (
        v.amount >= 1,
        v.amount <= MAX_AMOUNT,
        v.supply_index >= MIN_SUPPLY_INDEX,
        v.supply_index < 2**76,
    )


def _books(v: Inputs) -> Iterable[Truth]:
    return (
        *sound_books(v),
        v.amount >= 1,
        v.balance >= 0,
        v.balance <= v.total_shares,
        scaling(0, v.amount, v.supply_index),
        scaling(v.amount, MAX_AMOUNT, v.supply_index),
        scaling(0, v.total_scaled_debt, v.debt_index),
        scaling(v.supply_index, 2**76, MAX_AMOUNT),
    )


def _entry(act: Callable[[UnknownVault, Inputs], object]) -> Program:
    """Return a program that runs one entry point and returns the books."""

    def run(v: Inputs) -> BalanceSheet:
        vault = vault_of(v)
        vault.storage.store((vault.address, BALANCE, OWNER), v.balance)
        act(vault, v)
        return vault.sheet

    return Program(f"{BOOKS} amount balance", _books, run)


def _conversion(there: str, back: str) -> Program:
    """Return a program that converts an amount there and back again."""

    def run(v: Inputs) -> int:
        first = getattr(lender_shares, there)(v.amount, v.supply_index)
        return getattr(lender_shares, back)(first, v.supply_index)

    return Program("amount supply_index", _round_trip, run)


def _round_trip(v: Inputs) -> Iterable[Truth]:
    return (*_amount(v), *_products(v, None, ()))


def _products(v: Inputs, _after: object, q: Sequence[Number]) -> Iterable[Truth]:
    """Amounts and quotients times the index keep their order."""
    for amount in (v.amount, *q):
        yield scaling(0, amount, v.supply_index)
        yield scaling(amount, MAX_AMOUNT, v.supply_index)
    if len(q) == 2:
        yield scaling(q[1], v.amount, v.supply_index)
        yield scaling(-q[1], v.amount, v.supply_index)


_to_shares_up, _to_shares_down = lender_shares.to_shares_up, lender_shares.to_shares_down
_to_assets_up, _to_assets_down = lender_shares.to_assets_up, lender_shares.to_assets_down
_ODD = {"amount": 7, "supply_index": 3 * WAD // 2}
_EXAMPLE = {
    "total_shares": 10**6,
    "cash": 15 * 10**5,
    "last_accrual": 0,
    "total_scaled_debt": 0,
    "debt_index": WAD,
    "supply_index": 3 * WAD // 2,
    "amount": 7,
    "balance": 10**6,
}


@lemma(
    "RND-1",
    _conversion("to_shares_down", "to_assets_down"),
    because=_products,
    broken=Swap(lender_shares, "to_shares_down", _to_shares_up),
    example={"amount": 2, "supply_index": 3 * WAD // 2},
)
def deposit_then_redeem_never_profits(v: Inputs, back: int) -> Truth:
    """floor(floor(a * W / I) * I / W) <= a: who deposits and redeems gets at most that back.

    The mistake: shares rounded up hand the depositor what others own.
    """
    return back <= v.amount


@lemma(
    "RND-1",
    _conversion("to_assets_up", "to_shares_up"),
    because=_products,
    broken=Swap(lender_shares, "to_assets_up", _to_assets_down),
    example={"amount": 7, "supply_index": WAD // 2},
)
def mint_then_withdraw_never_profits(v: Inputs, back: int) -> Truth:
    """ceil(ceil(s * I / W) * W / I) >= s: taking out what minting cost burns no fewer shares."""
    return back >= v.amount


@lemma(
    "RND-1",
    _conversion("to_assets_down", "to_shares_down"),
    because=_products,
    broken=Swap(lender_shares, "to_assets_down", _to_assets_up),
    example={"amount": 1, "supply_index": WAD // 2},
)
def redeem_then_deposit_never_profits(v: Inputs, back: int) -> Truth:
    """floor(floor(s * I / W) * W / I) <= s: leaving and coming back gains no share."""
    return back <= v.amount


@lemma(
    "RND-1",
    _conversion("to_shares_up", "to_assets_up"),
    because=_products,
    broken=Swap(lender_shares, "to_shares_up", _to_shares_down),
    example=_ODD,
)
def withdraw_then_mint_never_profits(v: Inputs, back: int) -> Truth:
    """ceil(ceil(a * W / I) * I / W) >= a: buying back the shares burnt costs no less."""
    return back >= v.amount


def _kept(_v: Inputs, after: BalanceSheet) -> Truth:
    return all_of(claims(after) <= assets(after), after.cash >= 0, after.total_shares >= 0)


@lemma(
    "BOOK-3",
    _entry(lambda vault, v: vault.deposit(call_of(v), v.amount, OWNER)),
    broken=Swap(lender_shares, "to_shares_down", _to_shares_up),
    example=_EXAMPLE,
)
def deposit_keeps_books(v: Inputs, after: BalanceSheet) -> Truth:
    """S * I <= A stays true: s = floor(a * W / I) new shares claim no more than a * W.

    A = cash * W + total_scaled_debt * debt_index, everything that lenders' claims rest on.
    """
    return _kept(v, after)


@lemma(
    "BOOK-3",
    _entry(lambda vault, v: vault.mint(call_of(v), v.amount, OWNER)),
    broken=Swap(lender_shares, "to_assets_up", _to_assets_down),
    example=_EXAMPLE,
)
def mint_keeps_books(v: Inputs, after: BalanceSheet) -> Truth:
    """S * I <= A stays true: s new shares claim s * I <= ceil(s * I / W) * W, which is paid."""
    return _kept(v, after)


@lemma(
    "BOOK-3",
    _entry(lambda vault, v: vault.withdraw(call_of(v), v.amount, OWNER, OWNER)),
    broken=Swap(lender_shares, "to_shares_up", _to_shares_down),
    example=_EXAMPLE,
)
def withdraw_keeps_books(v: Inputs, after: BalanceSheet) -> Truth:
    """S * I <= A stays true: ceil(a * W / I) shares burnt claimed at least the a * W paid out.

    The owner's shares are at most all shares (BOOK-2), and no more than cash is paid.
    """
    return _kept(v, after)


@lemma(
    "BOOK-3",
    _entry(lambda vault, v: vault.redeem(call_of(v), v.amount, OWNER, OWNER)),
    broken=Swap(lender_shares, "to_assets_down", _to_assets_up),
    example=_EXAMPLE,
)
def redeem_keeps_books(v: Inputs, after: BalanceSheet) -> Truth:
    """S * I <= A stays true: floor(s * I / W) paid out is no more than s shares claimed."""
    return _kept(v, after)


LEMMAS = (
    deposit_then_redeem_never_profits,
    mint_then_withdraw_never_profits,
    redeem_then_deposit_never_profits,
    withdraw_then_mint_never_profits,
    deposit_keeps_books,
    mint_keeps_books,
    withdraw_keeps_books,
    redeem_keeps_books,
)
PROPERTIES = properties(LEMMAS)

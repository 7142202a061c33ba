"""States of a vault as its lenders may find it, each reached by calls alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ringfence.evm import Contract, InProcessEngine
from tests.support.market import (
    CURATOR,
    DAY,
    LENDER,
    LIQUIDATOR,
    MAX_CAP,
    MAX_UINT256,
    OTHER_TRADER,
    STRANGER,
    TEN_PERCENT,
    TRADER,
    WEEK,
    WETH,
    Market,
    deploy_market,
    price_of,
)

LENT = 1_000_000
"""Whole assets that the lender brings; the stranger brings half as many later."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A market in one state, and one unit of its asset as people count it."""

    market: Market
    unit: int
    state: str

    @property
    def vault(self) -> Contract:
        return self.market.vault

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Let what happens inside be undone at the end."""
        mark = self.market.engine.snapshot()
        try:
            yield
        finally:
            self.market.engine.restore(mark)


def _unused(_market: Market, _unit: int) -> None:
    """Nobody has lent."""


def _lent(market: Market, unit: int) -> None:
    market.deposit(LENT * unit)


def _interest(market: Market, unit: int) -> None:
    """A year of interest, three days of it pending, and odd indices."""
    _lent(market, unit)
    market.open(1_000 * WETH, 700_000 * unit)
    market.grow_debt(rate=TEN_PERCENT + 12_345)
    market.deposit(LENT * unit // 2, STRANGER)
    market.rate_model.set_rate(TEN_PERCENT)
    market.engine.advance(3 * DAY + 7)


def _left(market: Market, unit: int) -> None:
    """All lenders went, after interest: shares are 0, the index is not 1e18, a reserve stays."""
    _interest(market, unit)
    market.rate_model.set_rate(0)
    market.asset.mint(TRADER, LENT * unit)
    market.vault.repay(market.opened[0], MAX_UINT256, sender=TRADER)
    for lender in (LENDER, STRANGER):
        market.vault.redeem(market.shares_of(lender), lender, lender, sender=lender)


def _liquidate_all(market: Market, price: int) -> None:
    market.engine.advance(1)
    market.set_price(price)
    market.give(market.asset, LIQUIDATOR, 2**100)
    for position in market.opened:
        market.vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)


def _loss(market: Market, unit: int) -> None:
    """An insolvent liquidation has cut the index below 1e18; another borrower pays interest."""
    _interest(market, unit)
    _liquidate_all(market, market.oracle.quote()[1] // 10)
    market.set_price(price_of(2_000, 18, market.asset.decimals()))
    market.open(1_000 * WETH, 300_000 * unit, owner=OTHER_TRADER)
    market.engine.advance(5 * DAY)


def _ruin(market: Market, unit: int) -> None:
    """Everything was lent out and nearly all of it lost: the index is below 1e12."""
    _lent(market, unit)
    market.open(1_000 * WETH, LENT * unit)
    _liquidate_all(market, max(market.oracle.quote()[1] // 10**8, 1))


def _donated(market: Market, unit: int) -> None:
    _interest(market, unit)
    market.asset.mint(market.vault, 3 * LENT * unit + 1)


def _capped(market: Market, unit: int) -> None:
    """All but seven units of the supply cap are taken."""
    _interest(market, unit)
    market.rate_model.set_rate(0)
    market.vault.accrue()
    books = market.books()
    market.vault.set_caps(books.cash + books.total_debt + 7, MAX_CAP, sender=CURATOR)


def _paused(market: Market, unit: int) -> None:
    _interest(market, unit)
    market.vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)


def _drained(market: Market, unit: int) -> None:
    """The last of the cash is lent out, but for five units."""
    _interest(market, unit)
    market.open(1_000 * WETH, market.books().cash - 5, owner=OTHER_TRADER)


STATES: dict[str, Callable[[Market, int], None]] = {
    "unused": _unused,
    "lent": _lent,
    "interest": _interest,
    "left": _left,
    "loss": _loss,
    "ruin": _ruin,
    "donated": _donated,
    "capped": _capped,
    "paused": _paused,
    "drained": _drained,
}


def stand(state: str, decimals: int) -> Standing:
    """Build a market of these asset decimals in one of `STATES`, on a chain of its own."""
    unit = 10**decimals
    market = deploy_market(InProcessEngine(), asset_decimals=decimals, min_debt=100 * unit)
    for account in (LENDER, STRANGER, TRADER, OTHER_TRADER):
        market.asset.approve(market.vault, MAX_UINT256, sender=account)
    STATES[state](market, unit)
    market.check_books()
    return Standing(market, unit, state)

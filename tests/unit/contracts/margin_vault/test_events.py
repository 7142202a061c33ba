"""The event log alone rebuilds every word (BOOK-7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from ringfence.evm import Engine, Receipt
from tests.support.market import (
    CURATOR,
    DAY,
    GUARDIAN,
    LENDER,
    LIQUIDATOR,
    MAX_CAP,
    MAX_RATE,
    MAX_UINT256,
    NOBODY,
    OTHER_TRADER,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    Books,
    Market,
    deploy_market,
)

CASH_FLOWS: dict[str, Callable[[dict[str, int]], int]] = {
    "Adjusted": lambda event: -event["debt_delta"],
    "Liquidated": lambda event: event["repaid"] + event["cut"],
    "Deposit": lambda event: event["assets"],
    "Withdraw": lambda event: -event["assets"],
    "ReserveFunded": lambda event: event["amount"],
    "ReserveCollected": lambda event: -event["amount"],
}


@dataclass(slots=True)
class Replay:
    """A vault's words, rebuilt from events and their times."""

    deployed_at: int
    total_shares: int = 0
    cash: int = 0
    last_accrual: int = 0
    debt_index: int = WAD
    supply_index: int = WAD
    limits: tuple[int, int, int] = (MAX_CAP, MAX_CAP, 0)
    slots: dict[int, int] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)

    @property
    def books(self) -> Books:
        scaled_debt = sum(word >> 40 & 2**104 - 1 for word in self.slots.values())
        return Books(
            self.total_shares,
            self.cash,
            self.last_accrual or self.deployed_at,
            scaled_debt,
            self.debt_index,
            self.supply_index,
        )

    def take(self, market: Market, receipt: Receipt) -> None:
        for name, event in market.events(receipt):
            if "slot" in event:
                self.slots[event["position_id"]] = event["slot"]
            if "debt_index" in event and event.get("debt_delta", True):
                # An adjustment that moved no asset stored no books.
                self.debt_index, self.supply_index = event["debt_index"], event["supply_index"]
                self.last_accrual = receipt.timestamp
            if name in CASH_FLOWS:
                self.cash += CASH_FLOWS[name](event)
            if name == "Transfer":
                self._transfer(event["sender"], event["receiver"], event["value"])
            elif name == "CapsSet":
                self.limits = (event["supply_cap"], event["debt_cap"], self.limits[2])
            elif name == "NewRiskPaused":
                self.limits = (*self.limits[:2], event["until"])

    def _transfer(self, sender: str, receiver: str, value: int) -> None:
        for account, change in ((sender, -value), (receiver, value)):
            if account == NOBODY:
                self.total_shares -= change
            else:
                self.shares[account] = self.shares.get(account, 0) + change


def long_run(market: Market) -> Iterator[Receipt]:
    """Every operation at least once, with time and interest in between."""
    vault = market.vault

    def run(name: str, *arguments: object, sender: object, seconds: int = 3 * DAY) -> Receipt:
        market.engine.advance(seconds)
        receipt: Receipt = getattr(vault, name)(*arguments, sender=sender)
        return receipt

    for account in (LENDER, TRADER, OTHER_TRADER, LIQUIDATOR, STRANGER):
        market.give(market.asset, account, 10**13)
        market.give(market.collateral, account, 10**22)
    first, second, third = (
        owner << 96 | 5 for owner in (int(a.address, 16) for a in (TRADER, OTHER_TRADER, STRANGER))
    )
    market.opened.extend((first, second, third))
    yield run("deposit", 10**12, LENDER, sender=LENDER)
    yield run("mint", 10**11, STRANGER, sender=LENDER)
    yield run("transfer", RECEIVER, 10**9, sender=STRANGER)
    yield run("adjust", first, 100 * WETH, 150_000 * USDC, TRADER, b"", sender=TRADER)
    yield run("adjust", second, 200 * WETH, 200_000 * USDC, TRADER, b"", sender=OTHER_TRADER)
    yield run("adjust", third, 10 * WETH, 0, NOBODY, b"", sender=STRANGER)
    market.rate_model.set_rate(MAX_RATE)
    yield run("accrue", sender=STRANGER)
    yield run("top_up", first, WETH, sender=STRANGER)
    yield run("adjust", first, WETH, -50_000 * USDC, NOBODY, b"", sender=TRADER)
    yield run("adjust", second, -WETH, 0, STRANGER, b"", sender=OTHER_TRADER)
    yield run("adjust", third, -WETH, 0, STRANGER, b"", sender=STRANGER)
    yield run("repay", second, 1_000 * USDC, sender=STRANGER)
    yield run("repay", third, 1_000 * USDC, sender=STRANGER)
    yield run("withdraw", 10**10, RECEIVER, LENDER, sender=LENDER)
    yield run("fund_reserve", 30_000 * USDC, sender=STRANGER)
    yield run("announce_reserve_collection", 10_000 * USDC, sender=CURATOR)
    yield run("collect_reserve", RECEIVER, sender=CURATOR, seconds=4 * DAY)
    yield run("set_caps", 10**13, 10**12, sender=CURATOR)
    yield run("pause_new_risk", market.engine.timestamp + 4 * DAY, sender=GUARDIAN)
    market.set_price(vault.liquidation_price(second) * 98 // 100)
    yield run("liquidate", second, 5_000 * USDC, 0, RECEIVER, b"", sender=LIQUIDATOR)
    market.set_price(vault.liquidation_price(second) // 2)
    yield run("liquidate", second, 90_000 * USDC, 0, RECEIVER, b"", sender=LIQUIDATOR)
    yield run("liquidate", second, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    yield run("redeem", 10**10, LENDER, LENDER, sender=LENDER)
    yield run("close", first, TRADER, b"", sender=TRADER)
    yield run("close", third, TRADER, b"", sender=STRANGER)


@pytest.fixture
def fresh(engine: Engine) -> Market:
    """A market without lenders or positions."""
    return deploy_market(engine)


@pytest.fixture
def replay(fresh: Market) -> Replay:
    deployment = fresh.vault.deployment
    assert deployment is not None
    return Replay(deployed_at=deployment.timestamp)


def test_events__of_a_long_run__rebuild_every_word(fresh: Market, replay: Replay) -> None:
    receipts = list(long_run(fresh))
    for receipt in receipts:
        replay.take(fresh, receipt)
    assert replay.books.words == fresh.books().words, "BOOK-7: the books differ"
    assert replay.limits == fresh.limits(), "BOOK-7: the limits differ"
    for position in fresh.opened:
        assert replay.slots.get(position, 0) == fresh.slot(position).word, "BOOK-7: a slot differs"
    for account, held in replay.shares.items():
        assert held == fresh.shares_of(account), "BOOK-7: shares differ"


def test_events__after_each_step__hold_the_words_of_that_step(
    fresh: Market, replay: Replay
) -> None:
    losses = 0
    for receipt in long_run(fresh):
        before = replay.books
        replay.take(fresh, receipt)
        books = fresh.books()
        assert replay.books == books, "BOOK-7: the books differ"
        assert books.debt_index >= before.debt_index, "BOOK-4: the debt index fell"
        lost = "LossSocialised" in [name for name, _fields in fresh.events(receipt)]
        assert (books.supply_index < before.supply_index) == lost, "BOOK-4: a silent loss"
        losses += lost
        for position in fresh.opened:
            word = fresh.slot(position).word
            assert replay.slots.get(position, 0) == word, "BOOK-7: a slot differs"
        fresh.check_books()
    assert losses == 2

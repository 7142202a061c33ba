"""ISO-6: a vault of a hostile token beside one that shares its honest token and its oracle."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm import Engine, Receipt, load
from ringfence.evm.engine import StateDiff
from tests.support.market import (
    CASH,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    price_of,
)

KINDS = (
    "ReenteringToken",
    "BlacklistingToken",
    "FeeOnTransferToken",
    "FalseReturningToken",
)
FIELDS = {"WETH": ("Wrapped Ether", "WETH", 18), "USDC": ("USD Coin", "USDC", 6)}

CALLS: dict[str, Callable[[Market, int], Receipt]] = {
    "deposit": lambda m, _p: m.vault.deposit(USDC, LENDER, sender=LENDER, check=False),
    "withdraw": lambda m, _p: m.vault.withdraw(USDC, LENDER, LENDER, sender=LENDER, check=False),
    "borrow": lambda m, p: m.vault.adjust(p, 0, USDC, TRADER, b"", sender=TRADER, check=False),
    "lever": lambda m, p: m.vault.adjust(p, WETH, USDC, TRADER, b"", sender=TRADER, check=False),
    "top up": lambda m, p: m.vault.top_up(p, 1, sender=TRADER, check=False),
    "repay": lambda m, p: m.vault.repay(p, USDC, sender=TRADER, check=False),
    "fund reserve": lambda m, _p: m.vault.fund_reserve(1, sender=LENDER, check=False),
    "liquidate": lambda m, p: m.vault.liquidate(
        p, 1_000 * USDC, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    ),
    "close": lambda m, p: m.vault.close(p, TRADER, b"", sender=TRADER, check=False),
}


@pytest.fixture(params=[(kind, side) for kind in KINDS for side in FIELDS], ids=" as ".join)
def vaults(engine: Engine, request: pytest.FixtureRequest) -> tuple[Market, Market, int]:
    """An honest vault, one that a hostile token spoils, and a position's id in both: unhealthy."""
    kind, side = request.param
    honest = deploy_market(engine)
    fee = (0,) if kind == "FeeOnTransferToken" else ()
    token = engine.deploy(load(kind), *FIELDS[side], *fee)
    hostile = deploy_market(
        engine,
        collateral=token if side == "WETH" else honest.collateral,
        asset=token if side == "USDC" else honest.asset,
        oracle=honest.oracle,
    )
    for market in (honest, hostile):
        market.deposit(CASH)
        position = market.open(10 * WETH, 10_000 * USDC)
        for account in (LENDER, TRADER, LIQUIDATOR):
            market.give(market.asset, account, CASH)
            market.give(market.collateral, account, 10 * WETH)
    engine.advance(1)
    honest.set_price(price_of(1_300))
    return honest, hostile, position


def spoil(hostile: Market) -> None:
    """Turn the hostile token bad: now it takes a fee, or refuses its own vault."""
    for token in (hostile.collateral, hostile.asset):
        if token.title == "FeeOnTransferToken":
            token.set_fee(5_000)
        if token.title == "BlacklistingToken":
            token.set_blacklisted(hostile.vault, True)


def outcome(honest: Market, position: int, name: str) -> tuple[object, StateDiff]:
    """What a call in the honest vault returns and writes, taken back afterwards."""
    mark = honest.engine.snapshot()
    receipt = CALLS[name](honest, position)
    assert receipt.success or name in ("borrow", "lever"), receipt.revert_reason
    done = (receipt.value, receipt.revert_reason), receipt.state_diff
    honest.engine.restore(mark)
    return done


def words(honest: Market, position: int) -> tuple[object, ...]:
    return honest.slot(position), honest.books(), honest.limits(), honest.shares_of(LENDER)


@pytest.mark.parametrize("price", [1_000, 2_000])
def test_calls__beside_a_hostile_token__neither_write_here_nor_change_what_calls_do(
    vaults: tuple[Market, Market, int], price: int
) -> None:
    honest, hostile, position = vaults
    names = [name for name in CALLS if name != "liquidate" or price == 1_000]
    honest.set_price(price_of(price))
    alone = {name: outcome(honest, position, name)[0] for name in names}
    before = words(honest, position)
    spoil(hostile)
    for name in names:
        receipt = CALLS[name](hostile, position)
        assert honest.vault.address not in receipt.state_diff, f"ISO-6: {name} wrote next door"
    assert words(honest, position) == before, "ISO-6: a word changed next door"
    for name in names:
        done, written = outcome(honest, position, name)
        assert done == alone[name], f"ISO-6: {name} ends otherwise beside a spoilt vault"
        assert hostile.vault.address not in written, f"ISO-6: {name} wrote to the spoilt vault"


ATTEMPTS: dict[str, Callable[[Market, int], bytes]] = {
    "withdraw collateral": lambda m, p: m.vault.adjust.encode(p, -1, 0, RECEIVER, b""),
    "reduce": lambda m, p: m.vault.adjust.encode(p, -1, -USDC, RECEIVER, b""),
    "borrow": lambda m, p: m.vault.adjust.encode(p, 0, USDC, RECEIVER, b""),
    "close": lambda m, p: m.vault.close.encode(p, RECEIVER, b""),
    "withdraw": lambda m, _p: m.vault.withdraw.encode(USDC, RECEIVER, LENDER),
    "redeem": lambda m, _p: m.vault.redeem.encode(USDC, RECEIVER, LENDER),
    "transfer shares": lambda m, _p: m.vault.transferFrom.encode(LENDER, RECEIVER, 1),
    "liquidate": lambda m, p: m.vault.liquidate.encode(p, MAX_UINT256, 0, RECEIVER, b""),
    "deposit": lambda m, _p: m.vault.deposit.encode(USDC, RECEIVER),
    "set caps": lambda m, _p: m.vault.set_caps.encode(0, 0),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("vaults", [("ReenteringToken", side) for side in FIELDS], indirect=True)
def test_call__token_calls_next_door_in_its_middle__gets_nothing_there(
    vaults: tuple[Market, Market, int], attempt: str
) -> None:
    """The token has no rights and no honest tokens there, whoever's call it sits in."""
    honest, hostile, position = vaults
    honest.set_price(price_of(2_000))
    tokens = (hostile.collateral, hostile.asset)
    token = next(one for one in tokens if one.title == "ReenteringToken")
    before, tried = words(honest, position), 0
    for name in CALLS:
        token.arm(honest.vault, ATTEMPTS[attempt](honest, position), sender=STRANGER)
        receipt = CALLS[name](hostile, position)
        written = receipt.state_diff.get(honest.vault.address)
        assert not written, f"ISO-6: {attempt} from within {name} changed another vault"
        assert not token.call_succeeded(), f"ISO-6: {attempt} from within {name} went through"
        tried += token.has_called()
    assert tried >= 3
    assert words(honest, position) == before, "ISO-6: a word changed next door"

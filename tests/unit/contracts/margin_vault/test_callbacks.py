"""Callbacks of adjust, close and liquidate: what they are told, and that nobody re-enters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm import Contract, Engine, Receipt, load
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
    Slot,
    deploy_market,
    position_id,
    price_of,
    reverts,
)


@pytest.fixture
def callback(market: Market) -> Contract:
    """A contract that owns positions, and mints what it is asked to pay."""
    return market.engine.deploy(load("HonestCallback"), market.collateral, market.asset)


def act(actor: Contract, vault: Contract, name: str, *arguments: object) -> Receipt:
    """Call the vault as a contract."""
    receipt: Receipt = actor.execute(
        vault, getattr(vault, name).encode(*arguments), sender=STRANGER
    )
    return receipt


def told(callback: Contract) -> tuple[int, int, int, bytes]:
    """Position, collateral delta, debt delta and data of the last callback in `adjust`."""
    return (
        callback.position_id(),
        callback.collateral_delta(),
        callback.debt_delta(),
        callback.data(),
    )


def test_adjust__with_data__calls_back_before_pulling(
    market: Market, vault: Contract, callback: Contract
) -> None:
    opened = position_id(callback)
    receipt = act(callback, vault, "adjust", opened, WETH, 1_000 * USDC, RECEIVER, b"open")
    market.opened.append(opened)
    assert told(callback) == (opened, WETH, 1_000 * USDC, b"open")
    assert market.slot(opened) == Slot(WETH, 1_000 * USDC, market.engine.timestamp)
    assert market.flows(receipt, callback)[("asset", RECEIVER)] == 1_000 * USDC
    assert callback.callback_count() == 1


def test_adjust__without_data__does_not_call_back(
    market: Market, vault: Contract, callback: Contract
) -> None:
    opened = position_id(callback)
    with reverts("allowance too low"):
        act(callback, vault, "adjust", opened, WETH, 0, RECEIVER, b"")
    assert callback.callback_count() == 0
    act(callback, vault, "adjust", opened, WETH, 0, RECEIVER, b"x")
    market.opened.append(opened)
    assert callback.callback_count() == 1


def test_adjust__repayment_clamped__callback_is_told_what_moved(
    market: Market, vault: Contract, callback: Contract
) -> None:
    opened = position_id(callback)
    act(callback, vault, "adjust", opened, WETH, 1_000 * USDC, callback, b"open")
    market.opened.append(opened)
    act(callback, vault, "adjust", opened, 0, -950 * USDC, callback, b"repay")
    assert told(callback) == (opened, 0, -900 * USDC, b"repay")
    act(callback, vault, "adjust", opened, -1, -(2**200), callback, b"rest")
    assert told(callback) == (opened, -1, -100 * USDC, b"rest")
    assert market.slot(opened)[:2] == (WETH - 1, 0)


def test_close__with_data__gets_collateral_before_it_pays(
    market: Market, vault: Contract, callback: Contract
) -> None:
    opened = position_id(callback)
    act(callback, vault, "adjust", opened, WETH, 1_000 * USDC, RECEIVER, b"open")
    receipt = act(callback, vault, "close", opened, RECEIVER, b"close")
    assert told(callback) == (opened, -WETH, -1_000 * USDC, b"close")
    assert market.flows(receipt, callback) == {
        ("collateral", vault.address): -WETH,
        ("collateral", RECEIVER): WETH,
        ("asset", vault.address): 1_000 * USDC,
    }
    assert market.slot(opened) == Slot()


def test_liquidate__with_data__gets_collateral_before_it_pays(
    market: Market, vault: Contract, callback: Contract
) -> None:
    position = market.open(WETH, 1_590 * USDC)
    market.engine.advance(1)
    market.set_price(price_of(1_800))
    preview = vault.preview_liquidation(position, MAX_UINT256)
    receipt = act(callback, vault, "liquidate", position, MAX_UINT256, 0, callback, b"sell")
    assert callback.position_id() == position
    assert callback.seized() == preview.seized == market.collateral.balanceOf(callback)
    assert callback.paid() == preview.repaid + preview.cut
    assert callback.data() == b"sell"
    assert market.flows(receipt, callback)[("asset", vault.address)] == callback.paid()


def test_adjust__caller_without_callback__reverts(market: Market, vault: Contract) -> None:
    market.give(market.collateral, TRADER, WETH)
    receipt = vault.adjust(position_id(TRADER), WETH, 0, TRADER, b"x", sender=TRADER, check=False)
    assert not receipt.success
    receipt = vault.close(position_id(TRADER), TRADER, b"x", sender=TRADER, check=False)
    assert not receipt.success


# Re-entry

Entry = Callable[[Market, Contract], bytes]

WRITES: dict[str, Entry] = {
    "deposit": lambda market, me: market.vault.deposit.encode(USDC, me),
    "mint": lambda market, me: market.vault.mint.encode(USDC, me),
    "withdraw": lambda market, me: market.vault.withdraw.encode(1, me, me),
    "redeem": lambda market, me: market.vault.redeem.encode(1, me, me),
    "transfer": lambda market, _me: market.vault.transfer.encode(RECEIVER, 1),
    "transferFrom": lambda market, me: market.vault.transferFrom.encode(LENDER, me, 1),
    "approve": lambda market, _me: market.vault.approve.encode(STRANGER, 1),
    "adjust": lambda market, me: market.vault.adjust.encode(
        position_id(me), 1, USDC, me.address, b""
    ),
    "top_up": lambda market, me: market.vault.top_up.encode(position_id(me), 1),
    "repay": lambda market, me: market.vault.repay.encode(position_id(me), USDC),
    "close": lambda market, me: market.vault.close.encode(position_id(me, 2), me.address, b""),
    "liquidate": lambda market, me: market.vault.liquidate.encode(
        position_id(TRADER, 8), MAX_UINT256, 0, me.address, b""
    ),
    "accrue": lambda market, _me: market.vault.accrue.encode(),
    "fund_reserve": lambda market, _me: market.vault.fund_reserve.encode(1),
    "set_operator": lambda market, _me: market.vault.set_operator.encode(STRANGER, 7, 0),
    "set_caps": lambda market, _me: market.vault.set_caps.encode(2**100, 2**100),
    "pause_new_risk": lambda market, _me: market.vault.pause_new_risk.encode(
        market.engine.timestamp + 1
    ),
    "set_guardian": lambda market, me: market.vault.set_guardian.encode(me),
    "transfer_curator": lambda market, me: market.vault.transfer_curator.encode(me),
    "accept_curator": lambda market, _me: market.vault.accept_curator.encode(),
    "announce_reserve_collection": lambda market, _me: (
        market.vault.announce_reserve_collection.encode(1)
    ),
}
READS = {
    "slot": lambda market, _me: market.vault.slot.encode(1),
    "position": lambda market, _me: market.vault.position.encode(1),
    "is_healthy": lambda market, _me: market.vault.is_healthy.encode(1),
    "current_balance_sheet": lambda market, _me: market.vault.current_balance_sheet.encode(),
    "totalAssets": lambda market, _me: market.vault.totalAssets.encode(),
    "convertToAssets": lambda market, _me: market.vault.convertToAssets.encode(1),
    "balanceOf": lambda market, me: market.vault.balanceOf.encode(me),
    "operator_permissions": lambda market, me: market.vault.operator_permissions.encode(me, me),
    "nonces": lambda market, me: market.vault.nonces.encode(me),
    "DOMAIN_SEPARATOR": lambda market, _me: market.vault.DOMAIN_SEPARATOR.encode(),
    "curator": lambda market, _me: market.vault.curator.encode(),
}
ENTRIES = WRITES | READS


def arrange_for_attacks(market: Market, me: Contract) -> None:
    """Make every entry of `ENTRIES` succeed when `me` calls it by itself."""
    vault = market.vault

    def call(target: Contract, data: bytes) -> None:
        me.execute(target, data, sender=STRANGER)

    for token in (market.collateral, market.asset):
        token.mint(me, 10**24)
        call(token, token.approve.encode(vault, MAX_UINT256))
    call(vault, vault.deposit.encode(1_000 * USDC, me))
    vault.approve(me, 10, sender=LENDER)
    for salt in (1, 2):
        call(vault, vault.adjust.encode(position_id(me, salt), WETH, 500 * USDC, me.address, b""))
        market.opened.append(position_id(me, salt))
    # Unhealthy by decree, since the price must suit the others.
    unhealthy = market.open(WETH, 1_600 * USDC, salt=8)
    market.engine.advance(1)
    slot = market.slot(unhealthy)
    market.engine.set_storage(
        vault, market.slot_key(unhealthy), slot._replace(collateral=9 * WETH // 10).word
    )
    vault.fund_reserve(1_000 * USDC, sender=LENDER)
    curator = vault.curator()
    vault.transfer_curator(me, sender=curator)
    call(vault, vault.accept_curator.encode())
    call(vault, vault.transfer_curator.encode(me))


@pytest.fixture
def attacker(market: Market) -> Contract:
    market.asset.mint(LENDER, 10**9)
    attacker = market.engine.deploy(load("CallbackAttacker"))
    arrange_for_attacks(market, attacker)
    return attacker


def attack(market: Market, attacker: Contract, outer: str) -> Receipt:
    """Run a function of the vault that calls the attacker back."""
    if outer == "adjust":
        arguments: tuple[object, ...] = (position_id(attacker), 1, 0, attacker, b"x")
    elif outer == "close":
        arguments = (position_id(attacker), attacker, b"x")
    else:
        arguments = (position_id(TRADER, 8), 100 * USDC, 0, attacker, b"x")
    return act(attacker, market.vault, outer, *arguments)


@pytest.mark.parametrize("name", ENTRIES)
def test_entries__called_by_itself__succeed(market: Market, attacker: Contract, name: str) -> None:
    attacker.execute(market.vault, ENTRIES[name](market, attacker), sender=STRANGER)


@pytest.mark.parametrize("outer", ["adjust", "close", "liquidate"])
def test_callback__re_enters_any_function__is_refused(
    market: Market, vault: Contract, attacker: Contract, outer: str
) -> None:
    names = list(ENTRIES)
    for start in range(0, len(names), 8):
        chosen = names[start : start + 8]
        mark = market.engine.snapshot()
        attacker.arm([(vault.address, ENTRIES[name](market, attacker)) for name in chosen])
        attack(market, attacker, outer)
        outcomes = attacker.outcomes()
        assert len(outcomes) == len(chosen)
        for name, outcome in zip(chosen, outcomes, strict=True):
            assert not outcome.succeeded, f"AUTH-3: {name} was re-entered from {outer}"
            assert outcome.output == b"", f"AUTH-3: {name} ran before it refused"
        vault.accrue()
        market.engine.restore(mark)


@pytest.mark.parametrize("name", ["deposit", "withdraw", "adjust", "repay", "liquidate", "slot"])
@pytest.mark.parametrize("hooked", ["collateral", "asset"])
def test_token_hook__re_enters__is_refused(engine: Engine, hooked: str, name: str) -> None:
    token = engine.deploy(
        load("ReenteringToken"), "Hooked", "HOOK", 18 if hooked == "collateral" else 6
    )
    market = deploy_market(engine, **{hooked: token})
    market.deposit(CASH)
    attacker = engine.deploy(load("CallbackAttacker"))
    market.asset.approve(market.vault, MAX_UINT256, sender=LENDER)
    market.asset.mint(LENDER, 10**9)
    arrange_for_attacks(market, attacker)
    entry = ENTRIES[name](market, attacker)
    if hooked == "collateral":
        outers = [
            ("adjust", (position_id(attacker), 1, 0, attacker, b"")),
            ("adjust", (position_id(attacker), -1, 0, attacker, b"")),
            ("top_up", (position_id(attacker), 1)),
            ("liquidate", (position_id(TRADER, 8), 100 * USDC, 0, attacker, b"")),
        ]
    else:
        outers = [
            ("deposit", (USDC, attacker)),
            ("redeem", (1, attacker, attacker)),
            ("adjust", (position_id(attacker), 0, USDC, attacker, b"")),
            ("repay", (position_id(attacker), USDC)),
            ("fund_reserve", (1,)),
            ("close", (position_id(attacker, 2), attacker, b"")),
        ]
    for outer, arguments in outers:
        token.arm(market.vault, entry)
        act(attacker, market.vault, outer, *arguments)
        assert token.has_called(), f"{outer} moved no token"
        assert not token.call_succeeded(), f"AUTH-3: {name} was re-entered from {outer}'s token"
    market.vault.accrue()


@pytest.mark.parametrize("name", ["slot", "is_healthy", "totalAssets", "accrue", "deposit"])
def test_oracle__re_enters__is_refused(engine: Engine, name: str) -> None:
    oracle = engine.deploy(load("ReenteringOracle"), price_of(2_000))
    market = deploy_market(engine, oracle=oracle)
    market.deposit(CASH)
    position = market.open(WETH, 500 * USDC)
    unhealthy = market.open(WETH, 1_000 * USDC, salt=2)
    engine.advance(1)
    market.give(market.asset, LIQUIDATOR, 10**10)
    lowered = market.slot(unhealthy)._replace(collateral=WETH // 2)
    engine.set_storage(market.vault, market.slot_key(unhealthy), lowered.word)
    adjusting = (position, 0, USDC, TRADER, b"")
    liquidating = (unhealthy, MAX_UINT256, 0, LIQUIDATOR, b"")
    oracle.arm(market.vault, ENTRIES[name](market, oracle))
    borrowing = market.vault.adjust(*adjusting, sender=TRADER, check=False)
    assert borrowing.revert_reason == "", f"AUTH-3: {name} was re-entered from the oracle"
    seizing = market.vault.liquidate(*liquidating, sender=LIQUIDATOR, check=False)
    assert seizing.revert_reason == "", f"AUTH-3: {name} was re-entered from the oracle"
    oracle.arm(b"\0" * 20, b"")
    market.vault.adjust(*adjusting, sender=TRADER)
    market.vault.liquidate(*liquidating, sender=LIQUIDATOR)


@pytest.mark.parametrize("name", ["slot", "totalAssets", "accrue"])
def test_rate_model__re_enters__is_refused_and_the_fallback_counts(
    engine: Engine, name: str
) -> None:
    rate_model = engine.deploy(load("ReenteringRate"), 0)
    market = deploy_market(engine, rate_model=rate_model)
    market.deposit(CASH)
    market.open(1_000 * WETH, CASH // 2)
    engine.advance(365 * 86_400)
    rate_model.arm(market.vault, ENTRIES[name](market, rate_model))
    receipt = market.vault.accrue()
    assert market.events(receipt)[0][0] == "RateModelFailed", (
        f"AUTH-3: {name} was re-entered from the rate model"
    )
    assert market.books().debt_index > 11 * 10**17

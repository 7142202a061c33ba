"""Nobody but the trader moves the trader's funds, and nothing stays in the router."""

from collections.abc import Iterator

import pytest

from ringfence.evm import Contract, Reverted, load
from ringfence.evm.decoding import decode_revert
from ringfence.evm.uniswap import encode_path
from tests.support.market import (
    DEPLOYER,
    LENDER,
    MAX_UINT256,
    NOBODY,
    OTHER_TRADER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    Slot,
    position_id,
    reverts,
)
from tests.support.periphery import ALL, Stage, add_market, buy, changes_nothing, sell

ID = position_id(TRADER)


@pytest.fixture
def rogue(stage: Stage) -> Iterator[Contract]:
    """A token that makes a call of its attacker's whenever it moves."""
    token = stage.engine.deploy(load("ReenteringToken"), "Rogue", "ROGUE", 18)
    yield token
    assert token.balanceOf(stage.router) == 0
    assert token.allowance(stage.router, stage.pool) == 0


def route(stage: Stage, rogue: Contract) -> bytes:
    """A pool of WETH and the rogue token, one of it and USDC, and the route through both."""
    rogue.mint(STRANGER, 10**24)
    stage.fund(STRANGER, weth=100 * WETH, usdc=200_000 * USDC)
    for token, unit, amount in (
        (stage.weth, WETH, 100 * WETH),
        (stage.usdc, 2_000 * USDC, 200_000 * USDC),
    ):
        pool = stage.uniswap.create_pool(token, rogue, fee=500, amounts=(unit, 10**18))
        amounts = {token.address: amount, rogue.address: 100 * 10**18}
        stage.uniswap.fund_pool(pool, amounts, STRANGER)
    return encode_path((stage.usdc, rogue, stage.weth), (500, 500))


def test_swap__either_direction__asks_for_no_limit_of_the_price(stage: Stage) -> None:
    # PUSH1 100 CALLDATALOAD, and revert with it: the price limit, fourth argument of `swap`.
    stage.engine.set_code(stage.pool, bytes.fromhex("6064355f5260205ffd"))
    limits = set()
    for market, margin in ((stage.long, WETH), (stage.short, 2_000 * USDC)):
        with pytest.raises(Reverted) as caught:
            stage.open(market, margin, sell(stage.path(market), margin))
        limits.add(int(caught.value.reason.removeprefix("0x"), 16))
    # One inside the pools' own bounds, which they name MIN_SQRT_RATIO and MAX_SQRT_RATIO.
    lowest, highest = 4295128739, 1461446703485210103287273052203988822378723970342
    assert limits == {lowest + 1, highest - 1}


def test_callback__stranger_trader_vault_or_idle_pool__reverts(
    stage: Stage, market: Market
) -> None:
    for caller in (STRANGER, TRADER, market.vault, stage.pool, stage.router):
        with changes_nothing(stage, STRANGER), reverts("caller is not the pool"):
            stage.router.uniswapV3SwapCallback(-1, 10**18, b"", sender=caller)


def test_callback__vaults__is_none(stage: Stage, market: Market) -> None:
    vault_callback = market.vault.engine.at(stage.router, load("HonestCallback"))
    for caller in (STRANGER, market.vault):
        with changes_nothing(stage), reverts("caller is not WETH"):
            vault_callback.on_adjust(ID, 1, 1, b"", sender=caller)


def test_default__ether_from_anybody_but_weth__reverts(stage: Stage) -> None:
    for account in (TRADER, STRANGER):
        with changes_nothing(stage, STRANGER), reverts("caller is not WETH"):
            stage.engine.transact(stage.router, sender=account, value=1)


def test_init__what_it_was_given__is_public(stage: Stage) -> None:
    assert stage.router.registry() == stage.factory.address
    assert stage.router.weth() == stage.weth.address


def test_open__vault_outside_the_registry__takes_nothing_from_those_who_trust_the_router(
    stage: Stage,
) -> None:
    hostile = stage.engine.deploy(load("CallbackAttacker"))
    swap = sell(stage.path(stage.long), 2_000 * USDC)
    for trader in (TRADER, STRANGER):
        with changes_nothing(stage, STRANGER), reverts("vault is unknown"):
            stage.open(stage.long, WETH, swap, trader=trader, vault=hostile)
    grant = stage.grant(stage.long, ALL, signer=OTHER_TRADER)
    with changes_nothing(stage, STRANGER), reverts("vault is unknown"):
        stage.open(stage.long, WETH, swap, trader=STRANGER, vault=hostile, grant=grant)


def test_open__stranger__spends_his_own_allowance_only(stage: Stage, market: Market) -> None:
    stage.fund(STRANGER, weth=WETH, usdc=2_000 * USDC)
    margin = WETH if market is stage.long else 2_000 * USDC
    amount = 2_000 * USDC if market is stage.long else WETH
    market.vault.set_operator(stage.router, ALL, 0, sender=STRANGER)
    with changes_nothing(stage, STRANGER), pytest.raises(Reverted):
        stage.open(market, margin, sell(stage.path(market), amount), trader=STRANGER)
    market.collateral.approve(stage.router, margin, sender=STRANGER)
    with changes_nothing(stage):
        stage.open(market, margin, sell(stage.path(market), amount), trader=STRANGER)
    assert market.slot(position_id(STRANGER)).collateral > margin


def test_open__tokens_sent_here_by_mistake__nobody_gets_them(stage: Stage) -> None:
    mark = stage.engine.snapshot()
    stage.usdc.mint(stage.router, 500 * USDC)
    stage.open_standard(stage.long)
    stage.close(stage.long, exact_in=True)
    assert stage.usdc.balanceOf(stage.router) == 500 * USDC
    stage.engine.restore(mark)


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__token_on_the_route_calls_back__is_locked_out(
    stage: Stage, rogue: Contract, exact_in: bool
) -> None:
    path = route(stage, rogue)
    stage.open_standard(stage.short, salt=9)
    before = stage.short.slot(position_id(TRADER, 9))
    swap = sell(path, 2_000 * USDC) if exact_in else buy(path, WETH // 2)
    attacks = {
        "": stage.router.close.encode(
            stage.short.vault, 9, stage.path(stage.short, to_asset=True), True, 0, stage.soon, False
        ),
        "caller is not the pool": stage.router.uniswapV3SwapCallback.encode(-1, 10**20, b""),
        "caller is not WETH": b"\x12\x34\x56\x78",
    }
    for salt, (reason, call) in enumerate(attacks.items()):
        rogue.arm(stage.router, call)
        stage.open(stage.long, WETH, swap, salt=salt)
        assert rogue.has_called()
        assert not rogue.call_succeeded(), "AUTH-3: a token called back into the router"
        assert decode_revert(rogue.call_output()) == reason
        assert stage.holdings() == {}
    assert stage.short.slot(position_id(TRADER, 9)) == before, "ISO-1: another position changed"


def test_close__token_on_the_route_tops_up__reverts(stage: Stage, rogue: Contract) -> None:
    route(stage, rogue)
    stage.open_standard(stage.long)
    stage.fund(rogue, weth=WETH)
    stage.weth.approve(stage.long.vault, WETH, sender=rogue)
    rogue.arm(stage.long.vault, stage.long.vault.top_up.encode(ID, 1))
    back = encode_path((stage.weth, rogue, stage.usdc), (500, 500))
    with changes_nothing(stage), reverts("collateral has changed"):
        stage.close(stage.long, exact_in=True, path=back)


def test_close__token_on_the_route_repays__trader_gets_the_rest(
    stage: Stage, rogue: Contract
) -> None:
    route(stage, rogue)
    stage.open_standard(stage.long)
    stage.usdc.mint(rogue, 100 * USDC)
    stage.usdc.approve(stage.long.vault, 100 * USDC, sender=rogue)
    rogue.arm(stage.long.vault, stage.long.vault.repay.encode(ID, 100 * USDC))
    back = encode_path((stage.weth, rogue, stage.usdc), (500, 500))
    receipt = stage.close(stage.long, exact_in=False, path=back)
    assert receipt.value[1] == 100 * USDC
    assert stage.long.slot(ID) == Slot()


@pytest.mark.parametrize("rogue_is_asset", [True, False])
def test_open__vaults_own_token_calls_back__is_locked_out(
    stage: Stage, rogue: Contract, rogue_is_asset: bool
) -> None:
    """Anybody can list a vault of a token of his own: it must not reach what others approved."""
    stage.dai.mint(STRANGER, 10**24)
    rogue.mint(STRANGER, 10**24)
    pair = (stage.dai, rogue) if rogue_is_asset else (rogue, stage.dai)
    market = add_market(stage, *pair)
    pool = stage.uniswap.create_pool(stage.dai, rogue, fee=500, amounts=(1, 1))
    stage.uniswap.fund_pool(pool, {stage.dai.address: 10**22, rogue.address: 10**22}, STRANGER)
    for token in pair:
        token.approve(market.vault, MAX_UINT256, sender=STRANGER)
        token.approve(stage.router, MAX_UINT256, sender=STRANGER)
    market.vault.deposit(10**22, STRANGER, sender=STRANGER)
    market.vault.set_operator(stage.router, ALL, 0, sender=STRANGER)
    steal = stage.weth.transferFrom.encode(TRADER, STRANGER, WETH)
    assert stage.weth.allowance(TRADER, stage.router) > 0
    calls = (
        stage.router.uniswapV3SwapCallback.encode(-1, WETH, b""),
        stage.router.close.encode(
            stage.long.vault, 1, stage.path(stage.long, to_asset=True), True, 0, stage.soon, False
        ),
    )
    with changes_nothing(stage):
        for salt, call in enumerate(calls):
            rogue.arm(stage.router, call)
            swap = sell(pool.path(market.asset), 10**18)
            stage.open(market, 10**18, swap, salt=salt, trader=STRANGER)
            assert rogue.has_called()
            assert not rogue.call_succeeded(), "AUTH-3: a token called back into the router"
        rogue.arm(stage.weth, steal)
        stage.close(market, exact_in=True, path=pool.path(market.collateral), trader=STRANGER)
        assert not rogue.call_succeeded(), "ISO-2: a token reached another's allowance"
    for token in pair:
        assert token.balanceOf(stage.router) == 0
        assert token.allowance(stage.router, market.vault) == 0


def test_every_call__lenders_and_other_traders__lose_nothing(stage: Stage, market: Market) -> None:
    others = [(stage.wealth(one), one) for one in (LENDER, OTHER_TRADER, DEPLOYER)]
    shares = market.shares_of(LENDER)
    stage.open_standard(market)
    amount = WETH if market is stage.long else 2_000 * USDC
    stage.decrease(market, 0, sell(stage.path(market, to_asset=True), amount))
    stage.close(market, exact_in=True)
    for before, account in others:
        assert stage.wealth(account) == before, "ISO-2: a bystander's wallet changed"
    assert market.shares_of(LENDER) == shares
    assert market.shares_of(NOBODY) == 0


@pytest.mark.parametrize("as_asset", [True, False])
@pytest.mark.parametrize("exact_in", [True, False])
def test_open_and_close__token_that_returns_nothing__works(
    stage: Stage, as_asset: bool, exact_in: bool
) -> None:
    silent = stage.engine.deploy(load("NoReturnToken"), "Silent", "SIL", 18)
    pair = (stage.dai, silent) if as_asset else (silent, stage.dai)
    market = add_market(stage, *pair)
    pool = stage.uniswap.create_pool(*pair, fee=500, amounts=(1, 1))
    for token in pair:
        token.mint(STRANGER, 10**24)
        for spender in (market.vault, stage.router):
            token.approve(spender, MAX_UINT256, sender=STRANGER)
    stage.uniswap.fund_pool(pool, {token.address: 10**22 for token in pair}, STRANGER)
    market.vault.deposit(10**22, STRANGER, sender=STRANGER)
    market.vault.set_operator(stage.router, ALL, 0, sender=STRANGER)
    unit = 10**18
    path, back = pool.path(market.asset), pool.path(market.collateral)
    swap = sell(path, 2 * unit) if exact_in else buy(path, 2 * unit)
    stage.open(market, unit, swap, trader=STRANGER)
    assert market.slot(position_id(STRANGER)).collateral >= 299 * unit // 100
    stage.decrease(market, unit // 100, sell(back, unit), trader=STRANGER)
    stage.close(market, exact_in=exact_in, path=back, trader=STRANGER)
    assert market.slot(position_id(STRANGER)) == Slot()
    for token in pair:
        assert token.balanceOf(stage.router) == 0
        for spender in (market.vault, pool):
            assert token.allowance(stage.router, spender) == 0

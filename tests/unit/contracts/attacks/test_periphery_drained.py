"""Router and liquidator fed with crafted data: limits unkept, callbacks that no pool made."""

from __future__ import annotations

from ringfence.evm import Contract, load
from ringfence.evm.artifacts import Artifact
from ringfence.evm.uniswap import encode_path
from tests.support.broken import Break
from tests.support.broken_periphery import with_liquidator, with_router
from tests.support.market import (
    DAY,
    DEPLOYER,
    KEEPER,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    position_id,
)
from tests.support.periphery import NO_GRANT, NO_PERMIT, Stage, Swap, add_market, sell
from tests.unit.contracts.attacks.catalogue import attack

SWAPS = "periphery/uniswap_swaps.vy"
ROUTER = "periphery/LeverageRouter.vy"


def sandwich(stage: Stage, swap: Swap, size: int, deadline: int) -> tuple[int, str | None]:
    """Buy before the trader's opening, sell after it; gain in USDC units, the opening's reason."""
    stage.fund(STRANGER, usdc=size)
    bought = stage.uniswap.sell(STRANGER, stage.path(stage.long), size).value
    opened = stage.router.open(
        stage.long.vault, 1, stage.weth, 100 * WETH, swap, deadline, NO_PERMIT, NO_GRANT,
        sender=TRADER, check=False,
    )  # fmt: skip
    stage.uniswap.sell(STRANGER, stage.path(stage.long, to_asset=True), bought)
    return stage.usdc.balanceOf(STRANGER) - size, opened.revert_reason


def sandwich_at_once(stage: Stage) -> tuple[int, str | None]:
    """Sandwich an opening that asks for the price before it."""
    path, sold = stage.path(stage.long), 100_000 * USDC
    swap = sell(path, sold, stage.uniswap.quote_sale(path, sold))
    return sandwich(stage, swap, 1_000_000 * USDC, stage.soon)


@attack(
    "router drained by crafted data",
    guard="a trade gives its limit or reverts (uniswap_swaps)",
    breaks=(Break(SWAPS, 'assert bought >= self._limit, "bought is below the limit"', "pass"),),
    contract="LeverageRouter",
    without="a sandwich around an opening of 100,000 USDC earns more than 15,000 USDC",
    here="the opening reverts, and the sandwich costs its fees",
    seen="sandwiches of trades without a limit, on Uniswap since 2020",
)
def test_open__sandwiched__reverts_at_its_limit(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    gain, reason = sandwich_at_once(with_router(stage, broken))
    assert gain > 15_000 * USDC, f"the double stands it: {gain}, {reason}"
    stage.engine.restore(mark)
    gain, reason = sandwich_at_once(with_router(stage, real))
    assert gain < 0, "ISO-2: a sandwich earned"
    assert reason == "bought is below the limit"


def hold_back(stage: Stage) -> tuple[int, str | None]:
    """Keep an opening back for a day, in which WETH falls by 10 %, and sandwich it to its limit."""
    path, sold, deadline = stage.path(stage.long), 100_000 * USDC, stage.soon
    swap = sell(path, sold, stage.uniswap.quote_sale(path, sold) * 995 // 1000)
    stage.engine.advance(DAY)
    stage.set_price(1_800)
    return sandwich(stage, swap, 350_000 * USDC, deadline)


@attack(
    "transaction held back",
    guard="a call after its deadline reverts (_begin)",
    breaks=(Break(ROUTER, '    assert block.timestamp <= deadline, "deadline has passed"\n'),),
    contract="LeverageRouter",
    without="whoever builds blocks keeps an opening of 100,000 USDC back until its limit is far "
    "from the price, and earns more than 6,000 USDC",
    here="the opening reverts, and the sandwich costs its fees",
    seen="swaps without a deadline, or with block.timestamp for one: a common finding of audits",
)
def test_open__held_back_for_a_day__reverts_at_its_deadline(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    gain, reason = hold_back(with_router(stage, broken))
    assert gain > 6_000 * USDC, f"the double stands it: {gain}, {reason}"
    stage.engine.restore(mark)
    gain, reason = hold_back(with_router(stage, real))
    assert gain < 0, "ISO-2: a transaction that was held back earned"
    assert reason == "deadline has passed"


def rogue_route(stage: Stage) -> tuple[Contract, bytes]:
    """A token with a hook, and the route from USDC through it to WETH."""
    rogue = stage.engine.deploy(load("ReenteringToken"), "Rogue", "ROGUE", 18)
    rogue.mint(DEPLOYER, 10**24)
    stage.fund(DEPLOYER, weth=100 * WETH, usdc=200_000 * USDC)
    for token, unit in ((stage.weth, WETH), (stage.usdc, 2_000 * USDC)):
        pool = stage.uniswap.create_pool(token, rogue, fee=500, amounts=(unit, WETH))
        amounts = {token.address: 100 * unit, rogue.address: 100 * WETH}
        stage.uniswap.fund_pool(pool, amounts, DEPLOYER)
    return rogue, encode_path((stage.usdc, rogue, stage.weth), (500, 500))


def play_the_pool(stage: Stage) -> tuple[int, bool]:
    """A token on the route calls the router as if it were the pool that is owed 1,500 USDC.

    Returns what the attacker has got, USDC units, and whether his call went through.
    """
    rogue, path = rogue_route(stage)
    stage.weth.approve(stage.long.vault, MAX_UINT256, sender=TRADER)
    position = position_id(TRADER)
    stage.long.vault.adjust(position, 4 * WETH, 0, TRADER, b"", sender=TRADER)
    last = path[-20:]
    rogue.arm(stage.router, stage.router.uniswapV3SwapCallback.encode(1_500 * USDC, 0, last))
    stage.increase(stage.long, 0, sell(path, 1_500 * USDC))
    return stage.usdc.balanceOf(rogue), rogue.call_succeeded()


@attack(
    "router drained by crafted data",
    guard="a callback is taken from the pool that is being called, and once (uniswap_swaps)",
    breaks=(
        Break(
            SWAPS,
            "assert self._pool != empty(address) and msg.sender == self._pool, "
            '"caller is not the pool"',
            "pass",
        ),
    ),
    contract="LeverageRouter",
    without="the trader borrows 1,500 USDC to the attacker besides his own 1,500",
    here="the attacker is not the pool",
    seen="SushiSwap's RouteProcessor2, April 2023: the callback of a pool that was none",
)
def test_callback__of_a_token_on_the_route__is_refused(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    works = play_the_pool(with_router(stage, broken))
    assert works == (1_500 * USDC, True), f"the double stands it: {works}"
    stage.engine.restore(mark)
    assert play_the_pool(with_router(stage, real)) == (0, False), "ISO-2: a false pool was paid"


def play_the_vault(stage: Stage, artifact: Artifact) -> tuple[int, list[bool]]:
    """A hostile collateral's hook calls the liquidator as if it were the vault, to be approved.

    Returns what the attacker takes of the keeper's 500 DAI, and how his two calls ended.
    """
    budget = 500 * WETH
    liquidator = with_liquidator(stage, artifact).liquidator
    rogue = stage.engine.deploy(load("ReenteringToken"), "Rogue", "ROGUE", 18)
    attacker = stage.engine.deploy(load("CallbackAttacker"))
    for token in (rogue, stage.dai):
        token.mint(STRANGER, 10**24)
    market = add_market(stage, rogue, stage.dai)
    pool = stage.uniswap.create_pool(stage.dai, rogue, fee=500, amounts=(1, 1))
    stage.uniswap.fund_pool(pool, {stage.dai.address: 10**22, rogue.address: 10**22}, STRANGER)
    for token in (rogue, stage.dai):
        token.approve(market.vault, MAX_UINT256, sender=STRANGER)
    market.vault.deposit(10**20, STRANGER, sender=STRANGER)
    bait = position_id(STRANGER)
    market.vault.adjust(bait, 10**18, 79 * 10**16, STRANGER, b"", sender=STRANGER)
    market.set_price(9 * 10**35)
    stage.engine.advance(1)
    stage.fund(KEEPER, dai=budget)
    stage.dai.approve(liquidator, budget, sender=KEEPER)
    pose = liquidator.on_liquidate.encode(bait, 0, budget, b"")
    take = stage.dai.transferFrom.encode(liquidator, attacker, budget)
    attacker.arm([(liquidator.address, pose), (stage.dai.address, take)])
    rogue.arm(attacker, attacker.on_adjust.encode(0, 0, 0, b""))
    target = (bait, MAX_UINT256, -budget)
    liquidator.liquidate(market.vault, target, pool.path(rogue), KEEPER, sender=KEEPER)
    ended = [one.succeeded for one in attacker.outcomes()]
    return stage.dai.balanceOf(attacker), ended


@attack(
    "liquidator drained by crafted data",
    guard="a callback is taken from the vault that is being called, and once (Liquidator)",
    breaks=(
        Break(
            "periphery/Liquidator.vy",
            "assert self._vault != empty(address) and msg.sender == self._vault, "
            '"caller is not the vault"',
            "pass",
        ),
    ),
    contract="Liquidator",
    without="a market's own token takes the 500 DAI that the keeper was prepared to lose",
    here="the attacker is not the vault, and the keeper has his money back",
    seen="flash-loan receivers that do not ask who calls back",
)
def test_on_liquidate__of_a_hostile_token__is_refused(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    works = play_the_vault(stage, broken)
    assert works == (500 * WETH, [True, True]), f"the double stands it: {works}"
    stage.engine.restore(mark)
    assert play_the_vault(stage, real) == (0, [False, False]), "ISO-2: a false vault was paid"
    assert stage.dai.balanceOf(KEEPER) >= 500 * WETH, "ISO-2: the keeper's budget is gone"

"""The operations that are measured, each on a market in the state the peers' figures tell of.

Steady state: another lender and another borrower keep every total above zero, 600 s have passed
since the last accrual, allowances are without limit, and every token balance that a transfer
touches is above zero before and after it. The trader owns the position and receives what leaves
it; the lender deposits for itself; the liquidator receives what it seizes. No callback is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ringfence.evm import Contract, Engine, compile_source, load
from ringfence.evm.abi import AbiValue, Addressable, address_bytes, checksum
from ringfence.evm.engine import dev_accounts

CURATOR, GUARDIAN, LENDER, OTHER_LENDER, TRADER, OTHER_TRADER, LIQUIDATOR = dev_accounts()[:7]

WAD = 10**18
WETH = 10**18
USDC = 10**6
YEAR = 31_536_000
BASE_GAS = 21_000
MAX_UINT256 = 2**256 - 1
MAX_CAP = 2**104 - 1
WAIT = 600
"""Seconds since the last accrual."""

BIG, SMALL, NEW = 1, 2, 3
"""Salts of the trader's positions: partly liquidated, wholly liquidated, not there yet."""

PRICE = 2_000
MARGIN_CALL = 1_800
"""Price at which a debt at the initial LTV is past the liquidation LTV, and covered."""
CRASH = 1_500
"""Price at which it is not covered."""


def price_of(usdc: int) -> int:
    """Return the oracle's price of one WETH at so many USDC, scaled 1e36."""
    return usdc * 10**36 * USDC // WETH


def position_id(owner: Addressable, salt: int) -> int:
    """Return the id of the owner's position with this salt."""
    return int.from_bytes(address_bytes(owner), "big") << 96 | salt


@dataclass(frozen=True, slots=True)
class Scene:
    """One operation ready to be sent: the engine stands at its state and time."""

    name: str
    sender: str
    to: str
    data: bytes

    @property
    def intrinsic_gas(self) -> int:
        """What is paid before the first instruction: 21,000 and the calldata."""
        return BASE_GAS + self.calldata_gas

    @property
    def calldata_gas(self) -> int:
        """16 for each byte, 4 for a zero."""
        return sum(16 if byte else 4 for byte in self.data)


@dataclass(frozen=True, slots=True)
class Market:
    """A vault with its tokens, oracle and rate model."""

    engine: Engine
    vault: Contract
    collateral: Contract
    asset: Contract
    oracle: Contract
    rate_model: Contract

    def scene(self, name: str, sender: Addressable, function: str, *args: AbiValue) -> Scene:
        """Return a call of the vault as a scene."""
        data = getattr(self.vault, function).encode(*args)
        return Scene(name, checksum(address_bytes(sender)), self.vault.address, data)


def deploy(engine: Engine) -> Market:
    """Deploy a market of the conservative kind: initial and target LTV 0.80, liquidation 0.86."""
    collateral = engine.deploy(load("TestToken"), "Wrapped Ether", "WETH", 18)
    asset = engine.deploy(load("TestToken"), "USD Coin", "USDC", 6)
    source = (Path(__file__).parent / "OneSlotOracle.vy").read_text()
    oracle = engine.deploy(compile_source(source, "OneSlotOracle"), price_of(PRICE))
    rate_model = engine.deploy(
        load("KinkedRate"), 0, 8 * WAD // 10, WAD // 20 // YEAR, 2 * WAD // YEAR
    )
    params = {
        "collateral_token": collateral.address,
        "asset": asset.address,
        "oracle": oracle.address,
        "rate_model": rate_model.address,
        "initial_ltv": 80 * WAD // 100,
        "target_ltv": 80 * WAD // 100,
        "liquidation_ltv": 86 * WAD // 100,
        "base_bonus": WAD // 100,
        "beta_max": 10_778 * WAD // 10_000,
        "reserve_cut": WAD // 10,
        "reserve_factor": WAD // 10,
        "reserve_target": 5 * WAD // 100,
        "fallback_rate": WAD // 10 // YEAR,
        "min_debt": 100 * USDC,
    }
    vault = engine.deploy(
        load("MarginVault"),
        tuple(params.values()),
        MAX_CAP,
        MAX_CAP,
        CURATOR,
        GUARDIAN,
        "Ringfence WETH/USDC",
        "rfUSDC",
    )
    return Market(engine, vault, collateral, asset, oracle, rate_model)


def settle(market: Market) -> None:
    """Bring lenders, borrowers and the liquidator in, then bring the books up to date."""
    vault = market.vault
    for account in (LENDER, OTHER_LENDER, TRADER, OTHER_TRADER, LIQUIDATOR):
        for token, amount in ((market.collateral, 1_000 * WETH), (market.asset, 10**6 * USDC)):
            token.mint(account, amount, sender=account)
            token.approve(vault.address, MAX_UINT256, sender=account)
    for lender in (LENDER, OTHER_LENDER):
        vault.deposit(200_000 * USDC, lender, sender=lender)
    for owner, salt, collateral, debt in (
        (OTHER_TRADER, BIG, 100 * WETH, 100_000 * USDC),
        (TRADER, BIG, 10 * WETH, 14_000 * USDC),
        (TRADER, SMALL, WETH // 10, 159 * USDC),
    ):
        position = position_id(owner, salt)
        vault.adjust(position, collateral, debt, owner, b"", sender=owner)
    market.engine.advance(WAIT)
    vault.accrue()


def _call(sender: Addressable, function: str, *args: AbiValue) -> Act:
    """Return an act that calls the vault as the market stands."""

    def act(market: Market, name: str) -> Scene:
        return market.scene(name, sender, function, *args)

    return act


def _adjust(salt: int, collateral: int, debt: int) -> Act:
    return _call(TRADER, "adjust", position_id(TRADER, salt), collateral, debt, TRADER, b"")


def _liquidate(price: int, salt: int, max_repay: int, min_seized: int) -> Act:
    """Return an act that liquidates a position at its initial LTV after the price fell."""
    position = position_id(TRADER, salt)

    def act(market: Market, name: str) -> Scene:
        if salt == BIG:
            market.vault.adjust(position, 0, 1_900 * USDC, TRADER, b"", sender=TRADER)
        market.oracle.set_price(price_of(price))
        args = (position, max_repay, min_seized, LIQUIDATOR, b"")
        return market.scene(name, LIQUIDATOR, "liquidate", *args)

    return act


Act = Callable[[Market, str], Scene]
"""What brings the market to the state before an operation, and returns the operation."""

HELD = position_id(TRADER, BIG)
ACTS: dict[str, Act] = {
    "deposit": _call(LENDER, "deposit", 1_000 * USDC, LENDER),
    "withdraw": _call(LENDER, "withdraw", 1_000 * USDC, LENDER, LENDER),
    "open": _adjust(NEW, WETH, 1_000 * USDC),
    "top_up": _call(TRADER, "top_up", HELD, WETH),
    "withdraw_collateral": _adjust(BIG, -WETH, 0),
    "borrow": _adjust(BIG, 0, 1_000 * USDC),
    "repay": _call(TRADER, "repay", HELD, 1_000 * USDC),
    "close": _call(TRADER, "close", HELD, TRADER, b""),
    "liquidate_partial": _liquidate(MARGIN_CALL, BIG, 16_000 * USDC, WETH),
    # The debt left would be dust, so all of it is repaid; collateral is left to the trader.
    "liquidate_full": _liquidate(MARGIN_CALL, SMALL, 16_000 * USDC, WETH // 100),
    # The reserve holds little, so that lenders take a loss: the costlier of the two ways.
    "liquidate_bad_debt": _liquidate(CRASH, BIG, 16_000 * USDC, WETH),
    "health_view": _call(TRADER, "is_healthy", HELD),
}


def scenes(market: Market) -> Iterator[Scene]:
    """Yield each operation with the market's engine standing at its state and time."""
    engine = market.engine
    mark = engine.snapshot()
    for name, act in ACTS.items():
        scene = act(market, name)
        engine.advance(WAIT)
        yield scene
        engine.restore(mark)

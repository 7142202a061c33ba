"""Re-entry through every door of the vault: callback, token hook, oracle, rate model, a view.

Seen: The DAO, June 2016; lending markets with ERC-777 hooks, Cream and AMP, August 2021.
"""

from __future__ import annotations

from functools import partial

from ringfence.evm import Contract, Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break, load_broken
from tests.support.market import (
    CASH,
    MAX_UINT256,
    OTHER_TRADER,
    STRANGER,
    USDC,
    WETH,
    WITHDRAW,
    Market,
    deploy_market,
    position_id,
    price_of,
)
from tests.unit.contracts.attacks.catalogue import attack

VAULT = "MarginVault.vy"
UNLOCKED = Break(VAULT, "# pragma nonreentrancy on\n")
VIEWS_UNLOCKED = Break("modules/position_views.vy", "# pragma nonreentrancy on\n")
LATE = (
    Break(
        VAULT,
        "    word: uint256 = position_slot._store(position_id, after)\n    if borrowed",
        "    if borrowed",
    ),
    Break(
        VAULT,
        "    log IMarginVault.Adjusted(\n",
        "    word: uint256 = position_slot._store(position_id, after)\n"
        "    log IMarginVault.Adjusted(\n",
    ),
)
"""The slot is written after every call to the outside."""
LOOSE = (
    Break(
        VAULT,
        "        low, high = market._quote()",
        '        low, high = abi_decode(raw_call(market.ORACLE, method_id("quote()"), '
        "max_outsize=64), (uint256, uint256))",
    ),
    Break(
        "modules/accrual.vy",
        "    rate, failed = self._borrow_rate(stored)",
        "    rate = abi_decode(raw_call(RATE_MODEL, abi_encode(stored.cash, stored.cash, "
        'method_id=method_id("borrow_rate(uint256,uint256)")), max_outsize=32), uint256)',
    ),
)
"""Oracle and rate model are called with all the gas there is, and may change state."""

OUT = 2 * WETH


def build(engine: Engine, artifact: Artifact, door: str) -> tuple[Market, Contract]:
    """A vault with another trader's 10 WETH, and the contract that attacks through the door."""
    oracle = engine.deploy(load("CallingOracle"), price_of(2_000))
    token = "ReenteringToken" if door == "token hook" else "TestToken"
    collateral = engine.deploy(load(token), "Wrapped Ether", "WETH", 18)
    market = deploy_market(
        engine, artifact=artifact, oracle=oracle, rate_model=oracle, collateral=collateral
    )
    market.deposit(CASH)
    market.open(10 * WETH, owner=OTHER_TRADER)
    attacker = engine.deploy(load("CallbackAttacker"))
    collateral.mint(attacker, 3 * WETH)
    approval = collateral.approve.encode(market.vault, MAX_UINT256)
    attacker.execute(collateral, approval, sender=STRANGER)
    opening = market.vault.adjust.encode(position_id(attacker), 3 * WETH, 100 * USDC, STRANGER, b"")
    attacker.execute(market.vault, opening, sender=STRANGER)
    for who in (oracle, collateral):
        grant = market.vault.set_operator.encode(who, WITHDRAW, 0)
        attacker.execute(market.vault, grant, sender=STRANGER)
    engine.advance(1)
    return market, attacker


def reenter(engine: Engine, artifact: Artifact, door: str) -> int:
    """Take 2 of 3 WETH out, and again from within.

    Returns what the attacker then has, with what stands in the slot, beyond the 3 WETH, units.
    """
    market, attacker = build(engine, artifact, door)
    mine = position_id(attacker)
    take = market.vault.adjust.encode(mine, -OUT, 0, attacker.address, b"")
    if door == "callback":
        attacker.arm([(market.vault.address, take)])
    elif door == "token hook":
        market.collateral.arm(market.vault, take)
    else:
        if door == "oracle":
            market.vault.accrue()
        market.oracle.arm(market.vault, take)
    data = b"x" if door == "callback" else b""
    outer = market.vault.adjust.encode(mine, -OUT, 0, attacker.address, data)
    attacker.execute(market.vault, outer, sender=STRANGER)
    held = market.collateral.balanceOf(attacker) + market.slot(mine).collateral
    short = market.slot(position_id(OTHER_TRADER)).collateral + market.slot(mine).collateral
    assert held - 3 * WETH == short - market.collateral.balanceOf(market.vault)
    return held - 3 * WETH


def show(engine: Engine, broken: Artifact, real: Artifact, door: str) -> None:
    """It works without lock and order, and fails on either of them, and on the real vault."""
    assert reenter(engine, broken, door) == OUT, "the double stands it"
    locked = load_broken("MarginVault", *LATE, *LOOSE)
    for name, artifact in (("the lock alone", locked), ("the vault", real)):
        assert reenter(engine, artifact, door) == 0, f"AUTH-3: {name} let a {door} take twice"


through = partial(
    attack,
    guard="the vault is locked, its slot final before any call, rates asked statically",
    breaks=(UNLOCKED, *LATE, *LOOSE),
    without="2 WETH of another trader's leave with one's own 2",
    here="the call within is refused, the one around it takes what is the caller's; the lock "
    "alone would do",
)


@through("re-entry through the callback", seen="The DAO, June 2016")
def test_adjust__again_from_its_callback__takes_once(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    show(engine, broken, real, "callback")


@through("re-entry through a token hook", seen="Cream and AMP's ERC-777, August 2021")
def test_adjust__again_from_a_token_hook__takes_once(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    show(engine, broken, real, "token hook")


@through("re-entry through the oracle")
def test_adjust__again_from_the_oracle__takes_once(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    show(engine, broken, real, "oracle")


@through("re-entry through the rate model")
def test_adjust__again_from_the_rate_model__takes_once(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    show(engine, broken, real, "rate model")


def read_within(engine: Engine, artifact: Artifact) -> int:
    """What `position` says within the callback, beyond what will be true: collateral units."""
    market, attacker = build(engine, artifact, "callback")
    mine = position_id(attacker)
    attacker.arm([(market.vault.address, market.vault.position.encode(mine))])
    outer = market.vault.adjust.encode(mine, -OUT, 0, attacker.address, b"x")
    attacker.execute(market.vault, outer, sender=STRANGER)
    outcome = attacker.outcomes()[0]
    if not outcome.succeeded:
        assert outcome.output == b"", "AUTH-3: the view ran before it refused"
        return 0
    return int.from_bytes(outcome.output[:32], "big") - market.slot(mine).collateral


@attack(
    "read-only re-entry",
    guard="views are locked too, and the slot is final before any call",
    breaks=(UNLOCKED, VIEWS_UNLOCKED, *LATE),
    without="within a callback a position still shows the 2 WETH that have left it",
    here="no view answers within a callback",
    seen="Curve pools' get_virtual_price, April 2022 (ChainSecurity); dForce, February 2023",
)
def test_position__read_within_a_callback__does_not_answer(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert read_within(engine, broken) == OUT, "the double stands it"
    assert read_within(engine, real) == 0, "AUTH-3: a view lied within a callback"

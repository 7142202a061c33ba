"""LIQ-2: at one price and one moment nobody but its owner brings a position past its bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import NamedTuple

import pytest
from eth_account.signers.local import LocalAccount
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ringfence.evm import Contract, Engine, Receipt, load
from tests.support.market import (
    CASH,
    CURATOR,
    DAY,
    GUARDIAN,
    INCREASE,
    LENDER,
    LIQUIDATOR,
    MAX_INT256,
    MAX_UINT256,
    OTHER_TRADER,
    PRICE_SCALE,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    WITHDRAW,
    Market,
    Slot,
    deploy_market,
    div_up,
    position_id,
    sign_permit,
)

OTHERS = (STRANGER, OTHER_TRADER, LENDER, LIQUIDATOR, CURATOR, GUARDIAN)
ALL_RIGHTS = INCREASE | REDUCE | WITHDRAW
FORGED = (27, b"\x01" * 32, b"\x01" * 32)


class Scene(NamedTuple):
    """A market, a position at exactly its bound, the others, and the debt index of the moment."""

    market: Market
    edge: int
    positions: tuple[int, ...]
    debt_index: int


class Call(NamedTuple):
    """What somebody calls: an entry point, a position that it is about, an amount."""

    name: str
    who: LocalAccount
    position: int
    amount: int


def _vault(name: str, *fixed: object) -> Callable[[Scene, Call], Receipt]:
    """An entry point of the vault; `fixed` names fields of the call, or is the argument itself."""

    def send(scene: Scene, call: Call) -> Receipt:
        known = {
            "position": scene.positions[call.position],
            "amount": call.amount,
            "delta": min(call.amount, MAX_INT256),
            "-delta": -min(call.amount, MAX_INT256),
            "who": call.who,
        }
        args = [known.get(one, one) if isinstance(one, str) else one for one in fixed]
        receipt: Receipt = getattr(scene.market.vault, name)(*args, sender=call.who, check=False)
        return receipt

    return send


def _permit(scene: Scene, call: Call) -> Receipt:
    """The caller's own signature is good, and it is sent under its name and the trader's."""
    signed = sign_permit(
        scene.market, call.who, owner=call.who, spender=OTHER_TRADER, value=call.amount
    )
    vault: Contract = scene.market.vault
    vault.permit(*signed, sender=call.who, check=False)
    forged = signed._replace(owner=TRADER.address)
    receipt: Receipt = vault.permit(*forged, sender=call.who, check=False)
    return receipt


def _forge_operator(scene: Scene, call: Call) -> Receipt:
    until = scene.market.engine.timestamp + DAY
    args = (TRADER, call.who, ALL_RIGHTS, 10_000, until, *FORGED)
    vault = scene.market.vault
    receipt: Receipt = vault.set_operator_with_signature(*args, sender=call.who, check=False)
    return receipt


CALLS: dict[str, tuple[Callable[[Scene, Call], Receipt], ...]] = {
    "adjust": (
        _vault("adjust", "position", "delta", 0, "who", b""),
        _vault("adjust", "position", "-delta", 0, "who", b""),
        _vault("adjust", "position", 0, "delta", "who", b""),
        _vault("adjust", "position", 0, "-delta", "who", b""),
        _vault("adjust", "position", "delta", "delta", "who", b""),
        _vault("adjust", "position", "-delta", "-delta", "who", b""),
    ),
    "close": (_vault("close", "position", "who", b""),),
    "top_up": (_vault("top_up", "position", "amount"),),
    "repay": (_vault("repay", "position", "amount"),),
    "liquidate": (_vault("liquidate", "position", "amount", 0, "who", b""),),
    "accrue": (_vault("accrue"),),
    "fund_reserve": (_vault("fund_reserve", "amount"),),
    "deposit": (_vault("deposit", "amount", "who"),),
    "mint": (_vault("mint", "amount", "who"),),
    "withdraw": (
        _vault("withdraw", "amount", "who", "who"),
        _vault("withdraw", "amount", "who", LENDER),
    ),
    "redeem": (
        _vault("redeem", "amount", "who", "who"),
        _vault("redeem", "amount", "who", LENDER),
    ),
    "transfer": (_vault("transfer", STRANGER, "amount"),),
    "transferFrom": (_vault("transferFrom", LENDER, "who", "amount"),),
    "approve": (_vault("approve", STRANGER, "amount"),),
    "permit": (_permit,),
    "set_operator": (_vault("set_operator", STRANGER, ALL_RIGHTS, 0),),
    "set_operator_with_signature": (_forge_operator,),
    "set_caps": (_vault("set_caps", 0, 0), _vault("set_caps", "amount", "amount")),
    "pause_new_risk": (_vault("pause_new_risk", "amount"),),
    "set_guardian": (_vault("set_guardian", "who"),),
    "transfer_curator": (_vault("transfer_curator", "who"),),
    "accept_curator": (_vault("accept_curator"),),
    "announce_reserve_collection": (_vault("announce_reserve_collection", "amount"),),
    "collect_reserve": (_vault("collect_reserve", "who"),),
}
"""Entry point -> the ways in which it is called."""

GIFTS: dict[str, Callable[[Scene, Call], Receipt]] = {
    "donate the asset": lambda s, c: s.market.asset.mint(s.market.vault, c.amount, check=False),
    "donate the collateral": lambda s, c: s.market.collateral.mint(
        s.market.vault, c.amount, check=False
    ),
}
WAYS = {
    **{f"{name} {n}": way for name, ways in CALLS.items() for n, way in enumerate(ways)},
    **GIFTS,
}


@pytest.fixture(scope="module")
def scene(chain: Engine) -> Iterator[Scene]:
    """One position at exactly its bound, one a unit inside, one safe, one insolvent; interest due.

    At 43 * n of debt and 50 * n of value the LTV is 0.86 to the last bit.
    """
    mark = chain.snapshot()
    market = deploy_market(chain)
    market.deposit(CASH)
    market.grow_debt()
    edge, inside = market.open(WETH), market.open(WETH, salt=2)
    safe = market.open(10 * WETH, 1_000 * USDC, owner=OTHER_TRADER, salt=3)
    insolvent = market.open(WETH, salt=4)
    for account in OTHERS:
        market.give(market.asset, account, 10**15)
        market.give(market.collateral, account, 10**24)
    market.rate_model.set_rate(10**9)
    chain.advance(DAY)
    index = market.vault.current_balance_sheet().debt_index
    scaled = next(s for s in range(10**9, 10**10) if div_up(s * index, WAD) % 43 == 0)
    debt = div_up(scaled * index, WAD)
    market.set_slot(edge, Slot(WETH, scaled, 0))
    market.set_slot(inside, Slot(WETH, scaled - 1, 0))
    market.set_slot(insolvent, Slot(WETH, 2 * scaled, 0))
    market.set_price(debt // 43 * 50 * PRICE_SCALE // WETH)
    assert market.vault.ltv(edge) == market.params.liquidation_ltv
    market.opened.append(position_id(STRANGER))
    yield Scene(market, edge, (edge, inside, safe, insolvent, position_id(STRANGER)), index)
    chain.restore(mark)


AMOUNTS = st.one_of(
    st.integers(1, 10),
    st.sampled_from((100 * USDC, 1_000 * USDC, WETH, CASH, MAX_UINT256 // 2, MAX_UINT256)),
    st.integers(1, 10**10),
)


def test_table__holds_every_entry_point() -> None:
    """A new function of the vault must be added here."""
    entries = {
        one["name"]
        for one in load("MarginVault").abi
        if one["type"] == "function" and one["stateMutability"] not in ("view", "pure")
    }
    assert entries == set(CALLS), "LIQ-2: an entry point that no stranger tries"


def check_healthy(scene: Scene, done: str) -> None:
    """Told from the words, at the index of the moment, and by the vault."""
    market = scene.market
    price = market.oracle.quote()[1]
    assert market.books().debt_index <= scene.debt_index, f"LIQ-2: {done} added to what is due"
    for position in scene.positions[:3]:
        slot = market.slot(position)
        debt = div_up(slot.scaled_debt * scene.debt_index, WAD)
        value = slot.collateral * price // PRICE_SCALE
        assert debt * WAD <= value * market.params.liquidation_ltv, (
            f"LIQ-2: {done} brought a position past its bound"
        )
        assert market.vault.is_healthy(position), f"LIQ-2: {done} made a position liquidatable"


@contextmanager
def undone(engine: Engine) -> Iterator[None]:
    """Take back what is done inside, also where it fails: the next example starts anew."""
    mark = engine.snapshot()
    try:
        yield
    finally:
        engine.restore(mark)


@settings(max_examples=200)
@given(
    calls=st.lists(
        st.builds(
            Call, st.sampled_from(sorted(WAYS)), st.sampled_from(OTHERS), st.integers(0, 4), AMOUNTS
        ),
        min_size=1,
        max_size=5,
    )
)
def test_others__call_anything_at_one_price_and_time__leave_the_healthy_healthy(
    scene: Scene, calls: list[Call]
) -> None:
    with undone(scene.market.engine):
        for call in calls:
            receipt = WAYS[call.name](scene, call)
            event(f"{call.name}: {'done' if receipt.success else 'refused'}")
            check_healthy(scene, f"{call.who.address}'s {call.name}")
        scene.market.check_books()


@pytest.mark.parametrize("name", sorted(WAYS))
def test_others__each_call_by_each_of_them__leaves_the_healthy_healthy(
    scene: Scene, name: str
) -> None:
    for who, position, amount in product(OTHERS, (0, 3), (1, 1_000 * USDC, MAX_UINT256)):
        with undone(scene.market.engine):
            WAYS[name](scene, Call(name, who, position, amount))
            check_healthy(scene, f"{who.address}'s {name}")

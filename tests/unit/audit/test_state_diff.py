"""The state-diff check: what it reports, and that it has seen this very session's transactions."""

from types import MappingProxyType

import pytest

from ringfence.audit.state_diff import Rules, check
from ringfence.evm import Engine, load
from ringfence.evm.abi import make_encoder, selector
from ringfence.evm.engine import CallMade
from tests.support.market import (
    KEEPER,
    LENDER,
    OPERATOR,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    Slot,
    as_int,
    deploy_market,
    mapping_slot,
    position_id,
    vault_slot,
)
from tests.support.state_diff import WATCH

VAULT = "0x" + "11" * 20
OTHER_VAULT = "0x" + "22" * 20
MINE, THEIRS = position_id(TRADER), position_id(TRADER, 2)
RULES = Rules(load("MarginVault"))


def _call(caller: str, name: str, *args: object) -> CallMade:
    entry = next(e for e in load("MarginVault").abi if e.get("name") == name)
    data = selector(entry) + make_encoder(entry["inputs"])(args)
    return CallMade(caller, VAULT, data)


def _reasons(call: CallMade, slot: int, before: int, after: int, vault: str = VAULT) -> list[str]:
    found = check(RULES, [call], {vault: {slot: (before, after)}}, lambda _vault, _slot: 0)
    return [one.reason for one in found]


def _entry(module: str, name: str, *keys: int) -> int:
    return mapping_slot(vault_slot(module, name), *keys)


CALLS = MappingProxyType(
    {
        "top_up": _call(STRANGER.address, "top_up", MINE, 1),
        "repay": _call(STRANGER.address, "repay", MINE, 1),
        "liquidate": _call(STRANGER.address, "liquidate", MINE, 1, 0, KEEPER.address, b""),
        "adjust": _call(TRADER.address, "adjust", MINE, 1, 1, TRADER.address, b""),
        "deposit": _call(LENDER.address, "deposit", 1, LENDER.address),
        "accrue": _call(STRANGER.address, "accrue"),
    }
)
FOREIGN = {
    "position": _entry("position_slot", "_words", THEIRS),
    "shares": _entry("lender_shares", "balanceOf", as_int(KEEPER)),
    "allowance": _entry("lender_shares", "allowance", as_int(LENDER), as_int(KEEPER)),
    "operator": _entry("operators", "_words", as_int(TRADER), as_int(OPERATOR)),
    "nonce": _entry("signatures", "nonces", as_int(TRADER)),
    "limits": vault_slot("limits", "_word"),
    "curator": vault_slot("authority", "curator"),
    "collection": vault_slot("authority", "_pending_amount"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", FOREIGN)
def test_check__word_of_another__reported(name: str, kind: str) -> None:
    reasons = _reasons(CALLS[name], FOREIGN[kind], 1, 2)
    assert len(reasons) == 1, f"ISO-1: {name} writes a foreign {kind} unreported"
    assert reasons[0].startswith("ISO-1"), f"ISO-1: {reasons}"


@pytest.mark.parametrize("name", CALLS)
def test_check__word_of_another_vault__reported(name: str) -> None:
    slot = vault_slot("balance_sheet", "_word_1")
    assert _reasons(CALLS[name], slot, 1, 2, OTHER_VAULT)[0].startswith("ISO-6"), (
        f"ISO-6: {name} writes another vault unreported"
    )


BEFORE = Slot(2 * WETH, 100 * USDC, 5)


@pytest.mark.parametrize(
    ("call", "after"),
    [
        (CALLS["top_up"], BEFORE._replace(collateral=WETH)),
        (CALLS["repay"], BEFORE._replace(collateral=WETH)),
        (CALLS["repay"], BEFORE._replace(scaled_debt=101 * USDC)),
        (CALLS["liquidate"], BEFORE._replace(scaled_debt=101 * USDC)),
        (
            _call(STRANGER.address, "adjust", MINE, -WETH, 0, STRANGER.address, b""),
            BEFORE._replace(collateral=WETH),
        ),
        (_call(STRANGER.address, "close", MINE, STRANGER.address, b""), Slot()),
    ],
)
def test_check__stranger_worsens_a_position__reported(call: CallMade, after: Slot) -> None:
    slot = _entry("position_slot", "_words", MINE)
    reasons = _reasons(call, slot, BEFORE.word, after.word)
    assert reasons, "ISO-4: a stranger worsens a position unreported"
    assert all(reason.startswith("ISO-4") for reason in reasons), f"ISO-4: {reasons}"


@pytest.mark.parametrize(("debt_delta", "reports"), [(0, 1), (1, 0), (-1, 0)])
def test_check__adjust_that_moves_no_total__may_not_write_the_books(
    debt_delta: int, reports: int
) -> None:
    call = _call(TRADER.address, "adjust", MINE, 1, debt_delta, TRADER.address, b"")
    reasons = _reasons(call, vault_slot("balance_sheet", "_word_1"), 1, 2)
    expected = ["ISO-1: adjust may not write balance_sheet._word_1"] * reports
    assert reasons == expected, f"ISO-1: {reasons}"


def test_watch__transactions_of_a_test__counted(engine: Engine) -> None:
    market: Market = deploy_market(engine)
    before = WATCH.transactions
    market.vault.accrue()
    market.vault.accrue()
    assert WATCH.transactions == before + 2

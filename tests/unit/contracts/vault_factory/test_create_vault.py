"""VaultFactory.create_vault: what it makes, and each bound beside what is just within it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ringfence.evm import Contract, Engine, load
from ringfence.evm.artifacts import find_source
from tests.support.factory import NAME, SALT, SEED, SYMBOL, Draft, make_draft
from tests.support.market import (
    CURATOR,
    DEPLOYER,
    GUARDIAN,
    MAX_CAP,
    MAX_RATE,
    MAX_UINT256,
    NOBODY,
    STRANGER,
    TRADER,
    WAD,
    price_of,
    reverts,
)

PERCENT = 10**16


def reserve_of(vault: Contract) -> int:
    """What is left of cash when nobody borrows: the lenders' claims are all that is owed."""
    sheet = vault.current_balance_sheet()
    assert sheet.total_scaled_debt == 0
    reserve: int = sheet.cash - sheet.total_shares * sheet.supply_index // WAD
    return reserve


# What a creation does


def test_create_vault__sound_arguments__stands_as_asked(draft: Draft) -> None:
    expected = draft.address_of()
    vault = draft.vault()

    assert vault.address == expected
    assert vault.parameters() == draft.all_arguments({})["params"]
    assert vault.current_limits() == (10**15, 10**14, 0)
    assert vault.curator() == CURATOR.address
    assert vault.guardian() == GUARDIAN.address
    assert (vault.name(), vault.symbol(), vault.decimals()) == (NAME, SYMBOL, 6)
    assert vault.asset() == draft.asset.address


def test_create_vault__seeds__asset_is_reserve_and_collateral_returns(draft: Draft) -> None:
    held = draft.collateral.balanceOf(DEPLOYER), draft.asset.balanceOf(DEPLOYER)
    vault = draft.vault(asset_seed=3 * SEED, collateral_seed=2 * SEED)

    assert reserve_of(vault) == 3 * SEED
    assert vault.totalSupply() == 0
    assert draft.asset.balanceOf(vault) == 3 * SEED
    assert draft.asset.allowance(draft.factory, vault) == 0
    assert draft.collateral.balanceOf(vault) == 0
    for token in (draft.asset, draft.collateral):
        assert token.balanceOf(draft.factory) == 0
    after = draft.collateral.balanceOf(DEPLOYER), draft.asset.balanceOf(DEPLOYER)
    assert after == (held[0], held[1] - 3 * SEED)


def test_create_vault__event__tells_an_indexer_everything(draft: Draft) -> None:
    receipt = draft.create()
    [event] = receipt.events(draft.factory, "VaultCreated")

    arguments = draft.all_arguments({})
    params = arguments["params"]
    assert arguments.pop("collateral_seed") == SEED
    assert dict(event.args) == arguments | {
        "vault": receipt.value,
        "collateral_token": params.collateral_token,
        "asset": params.asset,
        "index": 0,
        "creator": DEPLOYER.address,
    }


def test_create_vault__created_vault__lends_and_liquidates(draft: Draft, engine: Engine) -> None:
    vault = draft.vault()
    draft.asset.mint(STRANGER, 10**12)
    draft.collateral.mint(TRADER, 10**18)
    draft.asset.approve(vault, MAX_UINT256, sender=STRANGER)
    draft.collateral.approve(vault, MAX_UINT256, sender=TRADER)
    vault.deposit(10**11, STRANGER, sender=STRANGER)
    position = int(TRADER.address, 16) << 96
    vault.adjust(position, 10**18, 1_590 * 10**6, TRADER, b"", sender=TRADER)
    engine.advance(1)
    draft.oracle.set_price(price_of(1_800))
    seized, paid = vault.liquidate(position, MAX_UINT256, 0, STRANGER, b"", sender=STRANGER).value

    assert draft.asset.balanceOf(TRADER) == 1_590 * 10**6
    assert draft.collateral.balanceOf(STRANGER) == seized > 0
    assert paid > 0


# Whose address it is


def test_create_vault__same_salt_of_another__takes_another_address(draft: Draft) -> None:
    draft.fund(STRANGER)
    mine, squatted = draft.address_of(), draft.address_of(STRANGER)
    assert mine != squatted

    assert draft.vault(STRANGER).address == squatted
    assert draft.vault().address == mine


def test_create_vault__twice_alike__reverts(draft: Draft) -> None:
    draft.vault()
    draft.refuses("")
    assert draft.vault(salt=b"\x08" * 32).address == draft.address_of(salt=b"\x08" * 32)


def test_create_vault__tokens_sent_ahead__change_nothing(draft: Draft) -> None:
    ahead = draft.address_of()
    for token in (draft.asset, draft.collateral):
        token.mint(ahead, 777)
        token.mint(draft.factory, 555)
    vault = draft.vault()

    assert vault.address == ahead
    assert reserve_of(vault) == SEED, "BOOK-5: a donation shows in a view"
    assert draft.asset.balanceOf(vault) == SEED + 777
    for token in (draft.asset, draft.collateral):
        assert token.balanceOf(draft.factory) == 555


# Bounds: (change that is refused, its reason, the nearest change that is not)

BOUNDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("initial LTV is below 0.5 %", {"initial_ltv": 5 * 10**15 - 1}, {"initial_ltv": 5 * 10**15}),
    (
        "initial LTV is above target LTV",
        {"initial_ltv": 83 * PERCENT + 1},
        {"initial_ltv": 83 * PERCENT},
    ),
    (
        "liquidation LTV is not below one",
        {"liquidation_ltv": WAD, "base_bonus": 0, "beta_max": WAD + 1},
        {"liquidation_ltv": WAD - 2, "base_bonus": 0, "beta_max": WAD + 1},
    ),
    (
        "LTV gap is below 0.5 %",
        {"target_ltv": 855 * PERCENT // 10 + 1},
        {"initial_ltv": 855 * PERCENT // 10, "target_ltv": 855 * PERCENT // 10},
    ),
    ("beta_max is below the bonus", {"beta_max": 101 * PERCENT}, {"beta_max": 101 * PERCENT + 1}),
    (
        "beta_max is below the bonus",
        {"beta_max": WAD, "base_bonus": 0},
        {"beta_max": WAD + 1, "base_bonus": 0},
    ),
    ("beta_max is below the bonus", {"beta_max": 0}, {}),
    ("beta_max is below the bonus", {"beta_max": WAD - 1}, {}),
    ("beta_max is below the bonus", {"base_bonus": MAX_UINT256}, {}),
    # The root of beta * (0.86 + beta - 1 - 0.01) = 1 at 18 places.
    (
        "beta_max is too high",
        {"beta_max": 1_077_808_556_006_578_955},
        {"beta_max": 1_077_808_556_006_578_954},
    ),
    ("beta_max is too high", {"beta_max": MAX_UINT256}, {}),
    (
        "beta_max is too high",
        {
            "beta_max": 2 * WAD + 1,
            "base_bonus": WAD,
            "initial_ltv": PERCENT,
            "target_ltv": PERCENT,
            "liquidation_ltv": 2 * PERCENT,
        },
        {
            "beta_max": 2 * WAD,
            "base_bonus": WAD - 1,
            "initial_ltv": PERCENT,
            "target_ltv": PERCENT,
            "liquidation_ltv": 2 * PERCENT,
        },
    ),
    ("reserve cut is not below one", {"reserve_cut": WAD}, {"reserve_cut": WAD - 1}),
    (
        "reserve factor is above 25 %",
        {"reserve_factor": 25 * PERCENT + 1},
        {"reserve_factor": 25 * PERCENT},
    ),
    ("reserve target is not below one", {"reserve_target": WAD}, {"reserve_target": WAD - 1}),
    ("fallback rate is too high", {"fallback_rate": MAX_RATE + 1}, {"fallback_rate": MAX_RATE}),
    ("min_debt is too small", {"min_debt": 9_999}, {"min_debt": 10_000}),
    ("min_debt exceeds 104 bits", {"min_debt": 2**104}, {"min_debt": 2**104 - 1}),
    ("limits exceed their width", {"supply_cap": MAX_CAP + 1}, {"supply_cap": MAX_CAP}),
    ("limits exceed their width", {"debt_cap": MAX_CAP + 1}, {"debt_cap": MAX_CAP}),
    ("curator is zero", {"curator": NOBODY}, {"guardian": NOBODY}),
    ("seed is too small", {"asset_seed": SEED - 1}, {"asset_seed": SEED}),
    ("seed is too small", {"collateral_seed": SEED - 1}, {"collateral_seed": SEED}),
]


@pytest.mark.parametrize(("reason", "beyond", "within"), BOUNDS)
def test_create_vault__bound__refuses_what_is_beyond_it(
    draft: Draft, reason: str, beyond: dict[str, Any], within: dict[str, Any]
) -> None:
    draft.refuses(reason, **beyond)
    vault = draft.vault(**within)
    assert draft.factory.is_vault(vault)
    assert reserve_of(vault) == SEED


def test_create_vault__every_reason__is_short_and_of_one_style() -> None:
    source = find_source("VaultFactory").read_text()
    reasons = set(re.findall(r', "(.*)"$', source, re.MULTILINE))
    assert {"seed is too small", "rate model does not answer"} < reasons
    for reason in reasons:
        assert len(reason) <= 32
        assert reason[0].islower() or reason.startswith("LTV")
        assert not reason.endswith(".")


# Contracts


def test_create_vault__one_token_for_both__reverts(draft: Draft) -> None:
    draft.refuses("tokens are the same", asset=draft.collateral.address)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("collateral_token", "token is missing"),
        ("asset", "token is missing"),
        ("oracle", "oracle is missing"),
        ("rate_model", "rate model is missing"),
    ],
)
def test_create_vault__no_contract__reverts(draft: Draft, field: str, reason: str) -> None:
    draft.refuses(reason, **{field: STRANGER.address})
    draft.refuses(reason, **{field: NOBODY})


def test_create_vault__oracle_without_a_price__reverts(draft: Draft) -> None:
    for low, high, reason in [
        (0, 0, "price is unusable"),
        (0, 1, "price is unusable"),
        (2, 1, "oracle low exceeds high"),
    ]:
        draft.oracle.set_quote(low, high)
        draft.refuses(reason)
    draft.oracle.set_quote(1, 1)
    draft.vault()


def test_create_vault__oracle_reverts__with_its_own_reason(draft: Draft, engine: Engine) -> None:
    oracle = engine.deploy(load("RevertingOracle"), 10**24)
    oracle.set_broken(True)
    draft.refuses("oracle is broken", oracle=oracle.address)
    oracle.set_broken(False)
    draft.vault(oracle=oracle.address)


@pytest.mark.parametrize("double", ["RevertingRate", "SilentRate", "GasBurningRate"])
def test_create_vault__rate_model_does_not_answer__reverts(
    draft: Draft, engine: Engine, double: str
) -> None:
    model = broken(engine, double)
    draft.refuses("rate model does not answer", rate_model=model.address)


@pytest.mark.parametrize("double", ["HugeRate"])
def test_create_vault__rate_beyond_the_most__is_clamped_later(
    draft: Draft, engine: Engine, double: str
) -> None:
    draft.vault(rate_model=broken(engine, double).address)


def broken(engine: Engine, double: str) -> Contract:
    artifact = load(double)
    inputs = next((e["inputs"] for e in artifact.abi if e["type"] == "constructor"), [])
    model = engine.deploy(artifact, *[1] * len(inputs))
    if any(entry.get("name") == "set_broken" for entry in artifact.abi):
        model.set_broken(True)
    return model


# Tokens


@pytest.mark.parametrize("side", ["collateral", "asset"])
def test_create_vault__fee_on_transfer__reverts(
    engine: Engine, factory: Contract, side: str
) -> None:
    token = engine.deploy(load("FeeOnTransferToken"), "Fee", "FEE", 18, 0)
    draft = make_draft(engine, factory, **{side: token})
    held = token.balanceOf(DEPLOYER)
    for fee_bps in (1, 5_000, 10_000):
        token.set_fee(fee_bps)
        draft.refuses("token takes a fee")
    assert token.balanceOf(DEPLOYER) == held
    token.set_fee(0)
    draft.vault()


@pytest.mark.parametrize("side", ["collateral", "asset"])
def test_create_vault__sender_is_surcharged__reverts(
    engine: Engine, factory: Contract, side: str
) -> None:
    token = engine.deploy(load("SurchargingToken"), "Surcharge", "SUR", 18)
    draft = make_draft(engine, factory, **{side: token})
    draft.refuses("balance too low")
    # Somebody's gift to the factory would pay for it.
    token.mint(factory, 10)
    draft.refuses("token takes a fee")
    assert token.balanceOf(factory) == 10


@pytest.mark.parametrize("side", ["collateral", "asset"])
def test_create_vault__token_returns_nothing__works(
    engine: Engine, factory: Contract, side: str
) -> None:
    token = engine.deploy(load("NoReturnToken"), "Tether", "USDT", 6)
    vault = make_draft(engine, factory, **{side: token}).vault()
    assert reserve_of(vault) == SEED


@pytest.mark.parametrize("side", ["collateral", "asset"])
def test_create_vault__token_returns_false__reverts(
    engine: Engine, factory: Contract, side: str
) -> None:
    token = engine.deploy(load("FalseReturningToken"), "False", "FLS", 18)
    draft = make_draft(engine, factory, **{side: token})
    token.approve(factory, SEED - 1)
    draft.refuses("transfer failed")
    token.approve(factory, SEED)
    draft.vault()


@pytest.mark.parametrize("decimals", [2, 6, 8, 18])
def test_create_vault__decimals__are_the_shares(
    engine: Engine, factory: Contract, decimals: int
) -> None:
    asset = engine.deploy(load("TestToken"), "Asset", "AST", decimals)
    assert make_draft(engine, factory, asset=asset).vault().decimals() == decimals


@pytest.mark.parametrize("side", ["collateral", "asset"])
def test_create_vault__seed_not_approved_or_not_held__reverts(draft: Draft, side: str) -> None:
    token = getattr(draft, side)
    token.approve(draft.factory, SEED - 1)
    draft.refuses("allowance too low")
    token.approve(draft.factory, MAX_UINT256)
    token.transfer(STRANGER, token.balanceOf(DEPLOYER) - SEED + 1)
    draft.refuses("balance too low")
    token.mint(DEPLOYER, 1)
    draft.vault()


@pytest.mark.parametrize("side", ["collateral", "asset"])
def test_create_vault__token_reenters__is_locked_out(
    engine: Engine, factory: Contract, side: str
) -> None:
    token = engine.deploy(load("ReenteringToken"), "Hook", "HOOK", 18)
    draft = make_draft(engine, factory, **{side: token})
    inner = list(draft.all_arguments({"salt": b"\x09" * 32}).values())
    token.arm(factory, factory.create_vault.encode(*inner))
    vault = draft.vault()

    assert token.has_called()
    assert not token.call_succeeded(), "AUTH-3: a token re-entered the factory"
    assert factory.vaults_count() == 1
    assert factory.vault_at(0) == vault.address


def test_create_vault__name_too_long__reverts(draft: Draft) -> None:
    with reverts(""):
        draft.create(name="n" * 51)
    with reverts(""):
        draft.create(symbol="s" * 33)
    assert draft.vault(name="n" * 50, symbol="s" * 32).name() == "n" * 50


def test_create_vault__salt__is_any_32_bytes(draft: Draft) -> None:
    addresses = {draft.vault(salt=salt).address for salt in (bytes(32), b"\xff" * 32, SALT)}
    assert len(addresses) == 3

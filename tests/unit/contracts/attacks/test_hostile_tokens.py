"""Tokens that take a fee, refuse an account, move nothing, or are gone."""

from __future__ import annotations

from functools import partial

from ringfence.evm import Contract, Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.factory import make_draft
from tests.support.market import (
    CASH,
    LIQUIDATOR,
    MAX_CAP,
    MAX_UINT256,
    OTHER_TRADER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    deploy_market,
    position_id,
    price_of,
)
from tests.unit.contracts.attacks.catalogue import attack

TOKENS = "modules/tokens.vy"
PULL = "msg.sender, self, amount, default_return_value=True"
FAILED = "    ):\n        errors._raise(errors.TRANSFER_FAILED)\n\n\n@internal\ndef _push("


def deposit_for_nothing(engine: Engine, artifact: Artifact) -> tuple[int, str | None]:
    """A token that returns false where it does not pay; gain in asset units, and the reason."""
    asset = engine.deploy(load("FalseReturningToken"), "USD Coin", "USDC", 6)
    market = deploy_market(engine, artifact=artifact, asset=asset)
    market.deposit(CASH)
    vault = market.vault
    receipt = vault.deposit(CASH, STRANGER, sender=STRANGER, check=False)
    if receipt.success:
        vault.redeem(market.shares_of(STRANGER), STRANGER, STRANGER, sender=STRANGER)
    return asset.balanceOf(STRANGER), receipt.revert_reason


@attack(
    "false-returning token",
    guard="a transfer that returns false is refused (tokens)",
    breaks=(
        Break(
            TOKENS,
            "    if not extcall IERC20(token).transferFrom(",
            "    _moved: bool = extcall IERC20(token).transferFrom(",
        ),
        Break(TOKENS, FAILED, FAILED.replace("    ):\n        errors._raise("
              "errors.TRANSFER_FAILED)", "    )")),
    ),
    without="a deposit that pays nothing takes the 1,000,000 USDC of the lender before",
    here="the deposit reverts",
    seen="ForceDAO, April 2021: xFORCE minted for transfers that had returned false",
)  # fmt: skip
def test_deposit__token_returns_false__reverts(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = deposit_for_nothing(engine, broken)
    assert works == (CASH, None), f"the double stands it: {works}"
    fails = deposit_for_nothing(engine, real)
    assert fails == (0, "transfer failed"), "BOOK-1: shares for nothing"


def borrow_on_nothing(engine: Engine, artifact: Artifact) -> tuple[int, bool]:
    """The collateral has no code for one block; gain in asset units, and whether the call ran."""
    market = deploy_market(engine, artifact=artifact)
    market.deposit(CASH)
    vault, mine = market.vault, position_id(STRANGER)
    code = engine.code_at(market.collateral)
    engine.set_code(market.collateral, b"")
    opened = vault.adjust(mine, 10**6 * WETH, 0, STRANGER, b"", sender=STRANGER, check=False)
    engine.set_code(market.collateral, code)
    if opened.success:
        vault.adjust(mine, 0, CASH, STRANGER, b"", sender=STRANGER)
    return market.asset.balanceOf(STRANGER), opened.success


@attack(
    "vanished token",
    guard="a call to an address without code moves nothing and is refused (tokens)",
    breaks=(Break(TOKENS, PULL, PULL + ", skip_contract_check=True"),),
    without="collateral that never was borrows all of the 1,000,000 USDC",
    here="nothing comes in while the token is gone",
    seen="Qubit, January 2022: a deposit of an address without code passed as a transfer",
)
def test_adjust__collateral_token_is_gone__reverts(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = borrow_on_nothing(engine, broken)
    assert works == (CASH, True), f"the double stands it: {works}"
    assert borrow_on_nothing(engine, real) == (0, False), "BOOK-1: collateral out of nothing"


def liquidate_a_listed_owner(engine: Engine, artifact: Artifact) -> str | None:
    """The owner of an unhealthy position is on the token's list; why the liquidation failed."""
    collateral = engine.deploy(load("BlacklistingToken"), "Wrapped Ether", "WETH", 18)
    market = deploy_market(engine, artifact=artifact, collateral=collateral)
    market.deposit(CASH)
    position = market.open(WETH // 10, 160 * USDC)
    market.give(market.asset, LIQUIDATOR, CASH)
    engine.advance(1)
    market.set_price(price_of(1_800))
    collateral.set_blacklisted(TRADER, True)
    reason: str | None = market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    ).revert_reason
    return reason


@attack(
    "blacklisting token",
    guard="a liquidation sends nothing to the owner: what is left stays in the slot",
    breaks=(
        Break(
            "MarginVault.vy",
            "    word: uint256 = position_slot._store(position_id, fields)\n    paid",
            "    rest: uint256 = 0\n    if fields.scaled_debt == 0:\n"
            "        rest = fields.collateral\n        fields.collateral = 0\n"
            "    word: uint256 = position_slot._store(position_id, fields)\n    paid",
        ),
        Break(
            "MarginVault.vy",
            "    tokens._push(tokens.COLLATERAL, receiver, outcome.seized)",
            "    tokens._push(tokens.COLLATERAL, receiver, outcome.seized)\n    if rest != 0:\n"
            "        tokens._push(tokens.COLLATERAL, self._owner(position_id), rest)",
        ),
    ),
    without="a vault that sends home what is left cannot liquidate an owner on the list",
    here="the liquidation goes through",
    seen="the lists of USDC and USDT; a common finding of audits of pushed refunds",
)
def test_liquidate__owner_is_blacklisted__goes_through(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = liquidate_a_listed_owner(engine, broken)
    assert works == "account is blacklisted", f"the double stands it: {works}"
    assert liquidate_a_listed_owner(engine, real) is None, "LIQ-7: an owner blocked a liquidation"


def deploy_with_a_fee(
    engine: Engine, artifact: Artifact, side: str
) -> tuple[Contract, Contract | str | None]:
    """A token that takes 1 % of each transfer, and the vault of it or why the factory made none."""
    factory = engine.deploy(artifact, engine.deploy_blueprint(load("MarginVault")))
    token = engine.deploy(load("FeeOnTransferToken"), "Fee", "FEE", 18, 100)
    draft = make_draft(engine, factory, **{side: token})
    created = factory.create_vault(
        *draft.all_arguments({"supply_cap": MAX_CAP}).values(), check=False
    )
    if not created.success:
        return token, created.revert_reason
    vault = engine.at(created.value, load("MarginVault"))
    for account in (OTHER_TRADER, STRANGER):
        token.mint(account, WETH)
        token.approve(vault, MAX_UINT256, sender=account)
    return token, vault


def trade_with_a_fee(engine: Engine, artifact: Artifact) -> int | str | None:
    """Collateral of an honest trader that is no longer there when another has left, units."""
    token, vault = deploy_with_a_fee(engine, artifact, "collateral")
    if not isinstance(vault, Contract):
        return vault
    for account in (OTHER_TRADER, STRANGER):
        vault.adjust(position_id(account), WETH, 0, account, b"", sender=account)
    vault.close(position_id(STRANGER), STRANGER, b"", sender=STRANGER)
    missing: int = WETH - token.balanceOf(vault)
    return missing


def lend_with_a_fee(engine: Engine, artifact: Artifact) -> int | str | None:
    """Assets of an honest lender that are no longer there when another has left, units."""
    token, vault = deploy_with_a_fee(engine, artifact, "asset")
    if not isinstance(vault, Contract):
        return vault
    for account in (OTHER_TRADER, STRANGER):
        vault.deposit(WETH, account, sender=account)
    vault.redeem(vault.balanceOf(STRANGER), STRANGER, STRANGER, sender=STRANGER)
    claim: int = vault.convertToAssets(vault.balanceOf(OTHER_TRADER))
    return claim - int(token.balanceOf(vault))


fee_on_transfer = partial(
    attack,
    "fee-on-transfer token",
    contract="VaultFactory",
    here="no such vault is made",
    seen="Balancer and STA, June 2020",
)


@fee_on_transfer(
    guard="the factory moves a seed of collateral in and out, and looks at what arrives",
    breaks=(
        Break(
            "VaultFactory.vy",
            "    self._probe_collateral(params.collateral_token, collateral_seed)\n",
        ),
    ),
    without="who leaves first takes 0.02 of the next trader's 1 WETH",
)
def test_create_vault__token_takes_a_fee__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = trade_with_a_fee(engine, broken)
    assert works == WETH // 50, f"the double stands it: {works}"
    assert trade_with_a_fee(engine, real) == "token takes a fee", "BOOK-1: a fee got in"


@fee_on_transfer(
    guard="the factory moves a seed of assets in and on to the vault, and looks at what arrives",
    breaks=(Break("VaultFactory.vy", "    self._seed_reserve(vault, params.asset, asset_seed)\n"),),
    without="the lender who leaves first takes 0.02 of the next one's 1",
)
def test_create_vault__asset_takes_a_fee__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = lend_with_a_fee(engine, broken)
    assert works == WETH // 50, f"the double stands it: {works}"
    assert lend_with_a_fee(engine, real) == "token takes a fee", "BOOK-1: a fee got in"

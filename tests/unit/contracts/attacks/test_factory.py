"""Who is first at the address where a vault was to stand, and who pays for it."""

from __future__ import annotations

from ringfence.evm import Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.factory import Draft, make_draft
from tests.support.market import (
    DEPLOYER,
    MAX_UINT256,
    STRANGER,
    USDC,
    WETH,
    position_id,
    price_of,
)
from tests.unit.contracts.attacks.catalogue import attack


def draft_of(engine: Engine, artifact: Artifact) -> Draft:
    blueprint = engine.deploy_blueprint(load("MarginVault"))
    return make_draft(engine, engine.deploy(artifact, blueprint))


def copy_and_go_first(engine: Engine, artifact: Artifact) -> bool:
    """A stranger sends the creator's call before him; whether the creator's still goes through."""
    draft = draft_of(engine, artifact)
    draft.fund(STRANGER)
    draft.create(STRANGER)
    arguments = draft.all_arguments({}).values()
    success: bool = draft.factory.create_vault(*arguments, sender=DEPLOYER, check=False).success
    return success


@attack(
    "factory front-run",
    guard="the creator is part of CREATE2's salt (VaultFactory)",
    breaks=(
        Break("VaultFactory.vy", "salt=keccak256(abi_encode(msg.sender, salt)),", "salt=salt,"),
    ),
    contract="VaultFactory",
    without="who copies the call and goes first stands at the address; the creator's call reverts",
    here="the copy stands elsewhere, the creator's vault where it was announced",
    seen="CREATE2 factories that salt without the sender",
)
def test_create_vault__copied_by_a_stranger_first__stands_where_announced(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert not copy_and_go_first(engine, broken), "the double stands it"
    assert copy_and_go_first(engine, real), "ISO-6: a stranger's vault stopped another"
    draft = draft_of(engine, real)
    draft.fund(STRANGER)
    draft.create(STRANGER)
    assert draft.vault().address == draft.address_of()


def send_ahead(engine: Engine, artifact: Artifact) -> str | None:
    """A stranger sends 1 unit to the address to come; why the creator's call then fails."""
    draft = draft_of(engine, artifact)
    draft.fund(STRANGER)
    draft.asset.transfer(draft.address_of(), 1, sender=STRANGER)
    arguments = draft.all_arguments({}).values()
    reason: str | None = draft.factory.create_vault(*arguments, check=False).revert_reason
    return reason


@attack(
    "CREATE2 squatting",
    guard="what lay at the address before is counted and left out (VaultFactory)",
    breaks=(
        Break(
            "VaultFactory.vy",
            "donated: uint256 = staticcall IERC20(token).balanceOf(vault)",
            "donated: uint256 = 0",
        ),
    ),
    contract="VaultFactory",
    without="1 unit at the announced address makes the creation revert, again and again",
    here="the vault stands, and the gift is nobody's",
)
def test_create_vault__unit_sent_ahead__stands_all_the_same(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = send_ahead(engine, broken)
    assert works == "token takes a fee", f"the double stands it: {works}"
    assert send_ahead(engine, real) is None, "BOOK-5: a gift stopped a vault"


def borrow_anothers_seed(draft: Draft) -> tuple[int, str | None]:
    """A stranger names who has approved seeds as the curator, and borrows them at his own price.

    Returns his gain in asset units, and why he was refused.
    """
    seed = 1_000 * USDC
    draft.fund(amount=seed)
    draft.collateral.mint(STRANGER, WETH)
    draft.collateral.approve(draft.factory, MAX_UINT256, sender=STRANGER)
    arguments = draft.all_arguments({"asset_seed": seed, "curator": DEPLOYER.address}).values()
    created = draft.factory.create_vault(*arguments, sender=STRANGER, check=False)
    if created.success:
        vault = draft.engine.at(created.value, load("MarginVault"))
        draft.oracle.set_price(price_of(10**9))
        draft.collateral.approve(vault, WETH, sender=STRANGER)
        vault.adjust(position_id(STRANGER), WETH // 1_000, seed, STRANGER, b"", sender=STRANGER)
    return draft.asset.balanceOf(STRANGER), created.revert_reason


@attack(
    "theft of the factory's seeds",
    guard="seeds come from the caller, whoever is to be the curator (VaultFactory)",
    breaks=(
        Break(
            "VaultFactory.vy",
            "    tokens._pull(token, amount)\n"
            "    self._check_received(token, self, held, amount)\n    # Whoever",
            "    assert extcall IERC20(token).transferFrom("
            "staticcall IMarginVault(vault).curator(), self, amount)\n"
            "    self._check_received(token, self, held, amount)\n    # Whoever",
        ),
    ),
    contract="VaultFactory",
    without="a stranger makes a vault of another's 1,000 USDC and borrows them against nothing",
    here="a stranger's call takes a stranger's seeds, and he has none",
)
def test_create_vault__on_anothers_seeds__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = borrow_anothers_seed(draft_of(engine, broken))
    assert works == (1_000 * USDC, None), f"the double stands it: {works}"
    draft = draft_of(engine, real)
    fails = borrow_anothers_seed(draft)
    assert fails == (0, "allowance too low"), "ISO-2: another's seed made a vault"
    held = draft.asset.balanceOf(DEPLOYER), draft.collateral.balanceOf(DEPLOYER)
    draft.fund(STRANGER)
    draft.create(STRANGER)
    left = draft.asset.balanceOf(DEPLOYER), draft.collateral.balanceOf(DEPLOYER)
    assert left == held, "ISO-2: a stranger's call took the seed"

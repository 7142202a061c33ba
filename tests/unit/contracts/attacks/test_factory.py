"""Who is first at the address where a vault was to stand."""

from __future__ import annotations

from ringfence.evm import Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.factory import Draft, make_draft
from tests.support.market import DEPLOYER, STRANGER
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
    held = draft.asset.balanceOf(DEPLOYER)
    draft.create(STRANGER)
    assert draft.asset.balanceOf(DEPLOYER) == held, "ISO-2: a stranger's call took the seed"
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

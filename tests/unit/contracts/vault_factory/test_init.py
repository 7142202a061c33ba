"""VaultFactory's constructor, and the size of what it deploys."""

from __future__ import annotations

from ringfence.evm import Contract, Engine, load
from tests.support.factory import blueprint_code
from tests.support.market import NOBODY, reverts

MAX_CODE = 24_576
"""EIP-170: the most code an account may hold, bytes."""


def test_init__blueprint__is_kept_and_holds_the_vault(engine: Engine, factory: Contract) -> None:
    assert engine.code_at(factory.blueprint()) == blueprint_code(load("MarginVault"))
    assert factory.vaults_count() == 0


def test_init__vault__fits_a_blueprint() -> None:
    assert len(blueprint_code(load("MarginVault"))) <= MAX_CODE


def test_init__nothing_at_the_address__reverts(engine: Engine) -> None:
    for address in (NOBODY, engine.accounts[3]):
        with reverts("blueprint is missing"):
            engine.deploy(load("VaultFactory"), address)
    stub = "0x" + "b1" * 20
    engine.set_code(stub, bytes.fromhex("fe7100"))
    with reverts("blueprint is missing"):
        engine.deploy(load("VaultFactory"), stub)


def test_init__code_without_the_preamble__reverts(engine: Engine, factory: Contract) -> None:
    with reverts("code is not a blueprint"):
        engine.deploy(load("VaultFactory"), factory)
    later_version = "0x" + "b2" * 20
    engine.set_code(later_version, bytes.fromhex("fe7101ff"))
    with reverts("code is not a blueprint"):
        engine.deploy(load("VaultFactory"), later_version)

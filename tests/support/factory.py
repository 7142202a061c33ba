"""A VaultFactory for tests, and a draft of a vault that it accepts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from eth_utils.crypto import keccak

from ringfence.evm import Artifact, Contract, Engine, Receipt, load
from ringfence.evm.abi import AbiValue, Addressable, address_bytes, checksum
from tests.support.market import CURATOR, DEPLOYER, GUARDIAN, MAX_UINT256, Params, price_of, reverts

SEED = 10_000
"""The smallest seed, token units."""

SALT = b"\x07" * 32
NAME, SYMBOL = "Ringfence WETH/USDC", "rfUSDC"


def blueprint_code(artifact: Artifact) -> bytes:
    """What lies on chain where an artifact was deployed as a blueprint."""
    return bytes.fromhex("fe7100") + artifact.creation


def deploy_factory(engine: Engine) -> Contract:
    return engine.deploy(load("VaultFactory"), engine.deploy_blueprint(load("MarginVault")))


@dataclass(slots=True)
class Draft:
    """The arguments of a `create_vault` that succeeds; a test changes the one it is about."""

    engine: Engine
    factory: Contract
    collateral: Contract
    asset: Contract
    oracle: Contract
    rate_model: Contract
    arguments: dict[str, Any] = field(default_factory=dict)

    def all_arguments(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The arguments in their order; a change may also name a field of the parameters."""
        params = Params(
            self.collateral.address,
            self.asset.address,
            self.oracle.address,
            self.rate_model.address,
            target_ltv=83 * 10**16,
        )
        fields = {name: value for name, value in changes.items() if name in Params._fields}
        others = {name: value for name, value in changes.items() if name not in Params._fields}
        return {
            "params": params._replace(**fields),
            "supply_cap": 10**15,
            "debt_cap": 10**14,
            "curator": CURATOR.address,
            "guardian": GUARDIAN.address,
            "name": NAME,
            "symbol": SYMBOL,
            "asset_seed": SEED,
            "collateral_seed": SEED,
            "salt": SALT,
        } | others

    def fund(self, creator: Addressable = DEPLOYER, amount: int = 1_000 * SEED) -> None:
        """Mint both tokens to a creator, and let the factory take whatever it holds."""
        for token in (self.collateral, self.asset):
            token.mint(creator, amount)
            token.approve(self.factory, MAX_UINT256, sender=creator)

    def create(self, sender: Addressable = DEPLOYER, **changes: Any) -> Receipt:
        receipt: Receipt = self.factory.create_vault(
            *self.all_arguments(changes).values(), sender=sender
        )
        return receipt

    def vault(self, sender: Addressable = DEPLOYER, **changes: Any) -> Contract:
        """Create a vault and return it."""
        address: AbiValue = self.create(sender, **changes).value
        return self.engine.at(address, load("MarginVault"))

    def refuses(self, reason: str, sender: Addressable = DEPLOYER, **changes: Any) -> None:
        """Assert that the creation fails for this reason and leaves no vault behind."""
        before = self.factory.vaults_count()
        with reverts(reason):
            self.create(sender, **changes)
        assert self.factory.vaults_count() == before

    def address_of(self, sender: Addressable = DEPLOYER, **changes: Any) -> str:
        """Where CREATE2 puts the vault."""
        arguments = self.all_arguments(changes)
        salt = keccak(bytes(12) + address_bytes(sender) + arguments["salt"])
        initcode = load("MarginVault").initcode(*list(arguments.values())[:7])
        word = keccak(b"\xff" + address_bytes(self.factory) + salt + keccak(initcode))
        return checksum(word[12:])


def make_draft(engine: Engine, factory: Contract, **doubles: Contract) -> Draft:
    """A draft on tokens of 18 and 6 decimals, or on the doubles given by the draft's own names."""
    price = price_of(2_000)
    parts = {
        "collateral": lambda: engine.deploy(load("TestToken"), "Wrapped Ether", "WETH", 18),
        "asset": lambda: engine.deploy(load("TestToken"), "USD Coin", "USDC", 6),
        "oracle": lambda: engine.deploy(load("SettableOracle"), price, price),
        "rate_model": lambda: engine.deploy(load("FixedRate"), 10**9),
    }
    made = {name: doubles.get(name) or deploy() for name, deploy in parts.items()}
    draft = Draft(engine, factory, **made)
    draft.fund()
    return draft


@pytest.fixture(scope="session")
def standing_factory(chain: Engine) -> Contract:
    """A factory and its blueprint, deployed once a session."""
    return deploy_factory(chain)


@pytest.fixture
def factory(standing_factory: Contract, engine: Engine) -> Contract:
    """The standing factory for one test."""
    assert engine is standing_factory.engine
    return standing_factory


@pytest.fixture
def draft(factory: Contract, engine: Engine) -> Draft:
    return make_draft(engine, factory)

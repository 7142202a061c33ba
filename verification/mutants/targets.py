"""What is mutated, the contract that it is compiled into, and the tests that hold that contract."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.evm.artifacts import ROOT

CONTRACTS = ROOT / "contracts"
VAULT, PERIPHERY = "vault", "periphery"


@dataclass(frozen=True, slots=True)
class Target:
    """A deployed contract: its source files below contracts/, and the tests that try it."""

    stem: str
    files: tuple[str, ...]
    tests: tuple[str, ...]
    group: str = PERIPHERY


_UNIT = "tests/unit/contracts"
_MODULES = tuple(f"modules/{path.name}" for path in sorted((CONTRACTS / "modules").glob("*.vy")))

TARGETS = (
    Target(
        "MarginVault",
        ("MarginVault.vy", *_MODULES),
        (f"{_UNIT}/margin_vault",),
        VAULT,
    ),
    Target("VaultFactory", ("VaultFactory.vy",), (f"{_UNIT}/vault_factory",)),
    Target(
        "ChainlinkOracle",
        ("oracles/ChainlinkOracle.vy", "oracles/price_math.vy"),
        (f"{_UNIT}/chainlink_oracle", "tests/property/test_oracles.py"),
    ),
    Target("MorphoOracle", ("oracles/MorphoOracle.vy",), (f"{_UNIT}/morpho_oracle",)),
    Target(
        "KinkedRate",
        ("rates/KinkedRate.vy", "rates/kinked_curve.vy"),
        (f"{_UNIT}/kinked_rate", "tests/property/test_rates.py"),
    ),
    Target(
        "LeverageRouter",
        ("periphery/LeverageRouter.vy", "periphery/uniswap_swaps.vy"),
        (f"{_UNIT}/leverage_router",),
    ),
    Target("Liquidator", ("periphery/Liquidator.vy",), (f"{_UNIT}/liquidator",)),
    Target("VaultLens", ("periphery/VaultLens.vy",), (f"{_UNIT}/vault_lens",)),
)

TARGET_OF = {file: target for target in TARGETS for file in target.files}

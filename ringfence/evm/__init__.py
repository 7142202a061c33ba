"""One small interface over anvil and the in-process EVM.

    from ringfence.evm import InProcessEngine, load

    engine = InProcessEngine()
    vault = engine.deploy(load("MarginVault"), ...)
    receipt = vault.deposit(10**6, lender, sender=lender)
    receipt.gas_used, receipt.value, receipt.state_diff, receipt.events(vault)

`InProcessEngine` needs the package `verbs` and is imported when it is asked for. The other engine
is in `ringfence.evm.anvil`: `launch()` starts a node, `AnvilEngine.from_ape()` joins Ape's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.evm.artifacts import Artifact, compile_source, load, load_npm
from ringfence.evm.contract import Contract, Event
from ringfence.evm.engine import Engine, Log, Receipt, StateDiff
from ringfence.evm.errors import (
    ArtifactError,
    EncodingError,
    EvmError,
    Reverted,
    UnknownFunctionError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from ringfence.evm.in_process import InProcessEngine

__all__ = [
    "Artifact",
    "ArtifactError",
    "Contract",
    "EncodingError",
    "Engine",
    "Event",
    "EvmError",
    "InProcessEngine",
    "Log",
    "Receipt",
    "Reverted",
    "StateDiff",
    "UnknownFunctionError",
    "UnsupportedError",
    "compile_source",
    "load",
    "load_npm",
]


def __getattr__(name: str) -> object:
    if name == "InProcessEngine":
        from ringfence.evm.in_process import InProcessEngine

        return InProcessEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

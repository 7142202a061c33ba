"""What can go wrong around a chain, one base error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringfence.evm.engine import Receipt


class EvmError(Exception):
    """The base of every error of `ringfence.evm`."""


class EncodingError(EvmError):
    """A value does not fit its ABI type, or bytes do not decode to it."""


class UnknownFunctionError(EvmError, AttributeError):
    """A contract has no such function or event, or none with so many arguments."""


class ArtifactError(EvmError):
    """A contract cannot be found, read or compiled."""


class UnsupportedError(EvmError):
    """This engine cannot do that; the message names the one that can."""


class Reverted(EvmError):  # noqa: N818  # reads better where it is expected
    """A transaction or a call failed and changed nothing.

    `reason` is what the contract said, or a short name for what the machine did: "" for a bare
    revert, the hex of data that is no message, "panic 0x11", "halt: out of gas".
    """

    def __init__(self, reason: str, receipt: Receipt | None = None) -> None:
        super().__init__(reason or "reverted without a reason")
        self.reason = reason
        self.receipt = receipt


def halt_reason(fault: str) -> str:
    """Return the words for a fault that stopped the machine; each engine has its own names."""
    name = fault.lower().replace(" ", "")
    if "outofgas" in name:
        return "halt: out of gas"
    if "invalid" in name and ("opcode" in name or "instruction" in name):
        return "halt: invalid opcode"
    if "sizelimit" in name:
        return "halt: code is too large"
    return f"halt: {fault}"

"""Neighbours that answer as no honest contract does, and calldata that no compiler encodes."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from eth_utils.crypto import keccak
from typing_extensions import override

from ringfence.evm import load
from ringfence.evm.abi import selector
from ringfence.math import tokens
from ringfence.math.errors import RevertError

Odd: TypeAlias = tuple[str, str]
"""What is odd about a call: the neighbour, and how it answers meanwhile."""

STARVED: Odd = ("caller", "little gas")
REENTERED: Odd = ("rate_model", "reenters")
LITTLE_GAS = 120_000
"""Enough for a call's data and to get to where the gas is looked at, not past it."""

ANSWERS = {
    "gone": b"",
    "reverts": bytes.fromhex("5f5ffd"),
    "false": bytes.fromhex("60205ff3"),
    "short": bytes.fromhex("60015ff3"),
    "wide": bytes.fromhex("60025f5260205ff3"),
}
"""A neighbour's code: none; reverts; returns 0, one byte, or 2, neither a bool nor a bytes4."""

TOKEN_ANSWERS = (*ANSWERS, "nothing")
"""`nothing` moves what it is told to and returns nothing, which is no failure."""

ODDITIES: tuple[Odd, ...] = (
    *((token, answer) for token in ("collateral", "asset") for answer in TOKEN_ANSWERS),
    *(("wallet", answer) for answer in ("reverts", "short", "wide")),
    ("contract_trader", "reverts"),
    REENTERED,
    STARVED,
)

UNLOCKED = [keccak(f"{name}()".encode())[:4] for name in ("name", "symbol", "decimals")]
"""Getters of what never changes."""
_MOST_CALLDATA = 4 + 8 * 32
_TOO_LONG = 1_025


def refuse(*_: object) -> bool:
    """Revert without a reason: a callback's part, or a wallet's."""
    raise RevertError("")


class NeighbourToken(tokens.Token):
    """A token that refuses to move anything for `refusal`, if it has one."""

    __slots__ = ("refusal",)

    def obey(self, odd: Odd | None, name: str) -> None:
        """Answer as an odd call's token does, if `name` is the odd one."""
        self.refusal: str | None = None
        if odd is not None and odd[0] == name and odd[1] in ANSWERS:
            self.refusal = "transfer failed" if odd[1] == "false" else ""

    @override
    def transfer(self, owner: int, receiver: int, amount: int) -> None:
        self._check()
        super().transfer(owner, receiver, amount)

    @override
    def transfer_from(self, spender: int, owner: int, receiver: int, amount: int) -> None:
        self._check()
        super().transfer_from(spender, owner, receiver, amount)

    def _check(self) -> None:
        if self.refusal is not None:
            raise RevertError(self.refusal)


@lru_cache(maxsize=1)
def entries() -> tuple[tuple[bytes, int, tuple[int, ...], tuple[int, ...]], ...]:
    """The vault's functions: selector, words of arguments, those narrower than a word, bytes."""
    found = []
    for entry in load("MarginVault").abi:
        if entry["type"] != "function":
            continue
        parts = list(enumerate(entry["inputs"]))
        narrow = tuple(
            n
            for n, part in parts
            if part["type"] in ("address", "uint8") or part["name"] == "permissions"
        )
        long = tuple(n for n, part in parts if part["type"] == "bytes")
        found.append((selector(entry), len(parts), narrow, long))
    return tuple(found)


@lru_cache(maxsize=1)
def garbled_arguments() -> tuple[bytes, ...]:
    """One calldata for each argument of the vault that can be too wide or too long."""
    found = []
    for name, words, narrow, long in entries():
        for n in narrow:
            found.append(name + bytes(32 * n) + b"\xff" * 32 + bytes(32 * (words - n)))
        for n in long:
            offset = (32 * words).to_bytes(32, "big")
            length = _TOO_LONG.to_bytes(32, "big")
            found.append(name + bytes(32 * n) + offset + bytes(32 * (words - n - 1)) + length)
    return tuple(found)


@lru_cache(maxsize=1)
def reentering_code() -> bytes:
    """Code of a SettableRate that first calls back to every function of its caller.

    It answers only if each call failed and returned nothing, as behind a held lock.
    """
    locked = [name for name, *_ in entries() if name not in UNLOCKED]
    size = _MOST_CALLDATA.to_bytes(2, "big").hex()
    # Puts the selector in front of zeroes, calls, and adds success and returndatasize to the top.
    calls = "".join(f"63{one.hex()}60e01b5f525f5f61{size}5f335afa3d1717" for one in locked)
    slot = load("SettableRate").slot("_rate")
    head = f"5f{calls}15"
    goal = (len(head) // 2 + 7).to_bytes(2, "big").hex()
    return bytes.fromhex(f"{head}61{goal}575f5ffd5b60{slot:02x}545f5260205ff3")

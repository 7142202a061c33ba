"""The steps of a deployment as data: what is created, from what, with which arguments.

An argument is a Python value of its ABI type, or a `Ref` to what an earlier step created; structs
are mappings by field name. Steps are compared and recorded in plain form: integers as decimal
strings, bytes as hex, so that nothing is lost in JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from eth_utils.crypto import keccak

from ringfence.evm.abi import address_bytes, checksum, make_encoder, selector
from ringfence.evm.artifacts import Artifact, load, load_npm


@dataclass(frozen=True, slots=True)
class Ref:
    """The address of what the step with this key created."""

    key: str


BLUEPRINT, FACTORY = "blueprint", "factory"
"""Keys of the steps that every vault needs."""

Place: TypeAlias = str | Ref
"""An address, or the step that will know it."""

Value: TypeAlias = Any
"""An argument: int, str, bytes, bool, Ref, or a mapping or sequence of them."""

Plain: TypeAlias = str | bool | list["Plain"] | dict[str, "Plain"]
"""An argument as JSON keeps it."""

Addresses: TypeAlias = Callable[[str], str]
"""Tells the address of what a step created, by the step's key."""


@dataclass(frozen=True, slots=True)
class Creation:
    """A contract created from its artifact.

    `npm` is the artifact's file in its package, None for our own. `loose` names the arguments that
    may differ from what stands: they are checked at creation and not kept.
    """

    key: str
    contract: str
    arguments: Mapping[str, Value] = field(default_factory=dict)
    npm: str | None = None
    blueprint: bool = False
    loose: frozenset[str] = frozenset()

    @property
    def artifact(self) -> Artifact:
        """The compiled contract."""
        return load_npm(self.npm) if self.npm else load(self.contract)

    def initcode(self, addresses: Addresses) -> bytes:
        """Return the data of the transaction that creates it."""
        if self.blueprint:
            return self.artifact.blueprint_initcode()
        values = [resolve(value, addresses) for value in self.arguments.values()]
        return self.artifact.initcode(*values)


@dataclass(frozen=True, slots=True)
class Seed:
    """Tokens that the factory takes from the deploying account: `amount` in the token's units.

    On a local chain `faucet` says how the account comes by them.
    """

    name: str
    token: Place
    amount: int
    decimals: int
    faucet: Literal["", "mint", "wrap"] = ""


@dataclass(frozen=True, slots=True)
class VaultCreation:
    """A vault created by the factory; `arguments` are in the order of the vault's constructor."""

    key: str
    arguments: Mapping[str, Value]
    asset_seed: Seed
    collateral_seed: Seed
    contract: str = "MarginVault"
    blueprint: bool = False
    loose: frozenset[str] = frozenset({"supply_cap", "debt_cap", "curator", "guardian"})

    @property
    def artifact(self) -> Artifact:
        """The compiled vault."""
        return load(self.contract)

    @property
    def salt(self) -> bytes:
        """The creator's part of the CREATE2 salt, 32 bytes: the key's hash."""
        return keccak(text=self.key)

    def calldata(self, addresses: Addresses) -> bytes:
        """Return the call of the factory that creates it."""
        values = [resolve(value, addresses) for value in self.arguments.values()]
        return encode_call(
            load("VaultFactory"),
            "create_vault",
            *values,
            self.asset_seed.amount,
            self.collateral_seed.amount,
            self.salt,
        )

    def address(self, creator: str, initcode: bytes, addresses: Addresses) -> str:
        """Return where CREATE2 puts it, from the blueprint's initcode.

        Mirrors VaultFactory.create_vault.
        """
        values = [resolve(value, addresses) for value in self.arguments.values()]
        arguments = self.artifact.initcode(*values)[len(self.artifact.creation) :]
        salt = keccak(bytes(12) + address_bytes(creator) + self.salt)
        factory = address_bytes(addresses(FACTORY))
        return checksum(keccak(b"\xff" + factory + salt + keccak(initcode + arguments))[12:])


Step: TypeAlias = Creation | VaultCreation


def resolve(value: Value, addresses: Addresses) -> Value:
    """Return an argument with every Ref replaced by its address."""
    if isinstance(value, Ref):
        return addresses(value.key)
    if isinstance(value, Mapping):
        return {name: resolve(part, addresses) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(part, addresses) for part in value]
    return value


def plain(value: Value) -> Plain:
    """Return a resolved argument as JSON keeps it."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return [plain(part) for part in value]


def differences(old: Plain, new: Plain, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (dotted name, old value, new value) wherever two plain arguments differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from differences(
                old.get(name, "absent"), new.get(name, "absent"), f"{path}.{name}".lstrip(".")
            )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif old != new:
        yield path, str(old), str(new)


def encode_call(artifact: Artifact, name: str, *values: Value) -> bytes:
    """Return the calldata of an artifact's function, chosen by name and number of arguments."""
    entry = next(
        one
        for one in artifact.abi
        if one["type"] == "function" and one["name"] == name and len(one["inputs"]) == len(values)
    )
    return selector(entry) + make_encoder(entry["inputs"])(values)

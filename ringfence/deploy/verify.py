"""Does what stands on a chain match its record: code, and everything that was fixed at creation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eth_utils.crypto import keccak

from ringfence.deploy.deployer import Deployer
from ringfence.deploy.record import Entry, Record
from ringfence.deploy.run import PREAMBLE
from ringfence.deploy.steps import FACTORY, Plain, differences, encode_call, plain
from ringfence.evm.abi import AbiEntry, AbiValue
from ringfence.evm.artifacts import Artifact, load
from ringfence.evm.decoding import make_decoder
from ringfence.evm.errors import ArtifactError, EncodingError, Reverted

GETTERS: Mapping[str, Mapping[str, str]] = {
    "VaultFactory": {"blueprint": "vault_blueprint"},
    "LeverageRouter": {"registry": "registry_", "weth": "weth_"},
    "Liquidator": {"registry": "registry_"},
    "KinkedRate": {
        "base": "base_rate",
        "kink": "kink_utilisation",
        "slope_1": "first_slope",
        "slope_2": "second_slope",
    },
    "ChainlinkOracle": {
        "collateral": "collateral_token",
        "asset": "asset_token",
        "base_1": "first_base",
        "base_2": "second_base",
        "quote_1": "first_quote",
        "quote_2": "second_quote",
        "sequencer": "uptime",
    },
    "MorphoOracle": {"source": "source_oracle"},
    "MarginVault": {"parameters": "params", "name": "name", "symbol": "symbol"},
}
"""By contract: the getter of each immutable, and the constructor's argument that it must equal."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between a chain and its record."""

    key: str
    what: str
    recorded: str
    found: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what} is {self.found} on chain, {self.recorded} in the record"


def is_of(entry: Entry, commit: str) -> bool:
    """Return whether a contract was compiled from a commit, and from nothing else."""
    return entry.source_commit == commit and not commit.endswith("-dirty")


def verify(record: Record, deployer: Deployer, commit: str) -> list[Finding]:
    """Return every difference between the record and the chain, none when all is as recorded.

    Code is compared with the recorded hash, and for contracts of `commit`, which the sources at
    hand must be, with what these compile to.
    """
    findings = []
    for key, entry in record.contracts.items():
        findings += list(_verify(key, entry, record, deployer, commit))
    return findings


def _verify(
    key: str, entry: Entry, record: Record, deployer: Deployer, commit: str
) -> Iterator[Finding]:
    code = deployer.code(entry.address)
    if not code:
        yield Finding(key, "code", "a contract", f"nothing at {entry.address}")
        return
    code_hash = "0x" + keccak(code).hex()
    differing = list(_immutables(key, entry, deployer))
    if code_hash != entry.code_hash:
        yield Finding(key, "code hash", entry.code_hash, code_hash)
    yield from differing
    if is_of(entry, commit):
        yield from _source(key, entry, code)
    factory = record.contracts.get(FACTORY)
    if entry.contract == "MarginVault" and not entry.blueprint and factory is not None:
        call = encode_call(load("VaultFactory"), "is_vault", entry.address)
        if not any(_answer(deployer, factory.address, call)):
            yield Finding(key, "creator", f"the factory at {factory.address}", "another")


def _answer(deployer: Deployer, address: str, call: bytes) -> bytes:
    try:
        return deployer.call(address, call)
    except Reverted:
        return b""


def _source(key: str, entry: Entry, code: bytes) -> Iterator[Finding]:
    """Compare the code with what its sources compile to; immutables lie behind it."""
    try:
        artifact = load(entry.contract)
    except ArtifactError:
        return
    compiled = PREAMBLE + artifact.creation if entry.blueprint else artifact.runtime
    if not code.startswith(compiled):
        yield Finding(
            key,
            "code",
            f"that of commit {entry.source_commit}",
            "not what these sources compile to",
        )


def _immutables(key: str, entry: Entry, deployer: Deployer) -> Iterator[Finding]:
    if entry.blueprint:
        return
    getters = GETTERS.get(entry.contract, {})
    for getter, argument in getters.items():
        if argument not in entry.arguments:
            continue
        found = _read(load(entry.contract), getter, entry.address, deployer)
        for name, recorded, on_chain in differences(entry.arguments[argument], found):
            yield Finding(key, f"{argument}.{name}".rstrip("."), recorded, on_chain)


def _read(artifact: Artifact, getter: str, address: str, deployer: Deployer) -> Plain:
    """Return a getter's answer in plain form, structs as mappings."""
    entry = next(one for one in artifact.abi if one.get("name") == getter and not one["inputs"])
    try:
        [value] = make_decoder(entry["outputs"])(
            deployer.call(address, encode_call(artifact, getter))
        )
    except (Reverted, EncodingError) as error:
        return f"unreadable ({error})"
    return plain(_named(entry["outputs"][0], value))


def _named(entry: AbiEntry, value: AbiValue) -> AbiValue:
    if entry["type"] != "tuple":
        return value
    return {
        part["name"]: _named(part, item)
        for part, item in zip(entry["components"], value, strict=True)
    }

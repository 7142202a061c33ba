"""Compiled contracts by name: our own from contracts/, others' from npm packages.

Compiling goes through the `vyper` package that is installed beside this one, imported only when
something must be compiled. Results lie under `.cache/artifacts/`, one file a contract, and are good
as long as the compiler and every source that the contract imports, directly or not, are the same.
"""

from __future__ import annotations

import gc
import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ringfence.evm.abi import AbiEntry, AbiValue, make_encoder
from ringfence.evm.errors import ArtifactError, EncodingError

ROOT = Path(__file__).resolve().parents[2]
"""The repository: holds contracts/, node_modules/ and .cache/."""

_FORMAT = 2
_BLUEPRINT_PREAMBLE = bytes.fromhex("fe7100")
_OUTPUTS = ("abi", "bytecode", "bytecode_runtime", "layout")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    `creation` is the initcode without constructor arguments, `runtime` the code without immutables
    (empty where the package ships none), `layout` the compiler's map of storage and immutables.
    """

    name: str
    abi: Sequence[AbiEntry] = field(repr=False)
    creation: bytes = field(repr=False)
    runtime: bytes = field(repr=False, default=b"")
    layout: Mapping[str, AbiValue] = field(repr=False, default_factory=dict)

    def initcode(self, *args: AbiValue) -> bytes:
        """Return the creation code with the constructor's arguments behind it."""
        inputs: Sequence[AbiEntry] = next(
            (e["inputs"] for e in self.abi if e["type"] == "constructor"), []
        )
        if len(args) != len(inputs):
            wanted = ", ".join(f"{part['type']} {part['name']}" for part in inputs)
            raise EncodingError(
                f"{self.name}'s constructor takes ({wanted}), {len(inputs)} in all; "
                f"{len(args)} were given"
            )
        return self.creation + make_encoder(inputs)(args)

    def blueprint_initcode(self) -> bytes:
        """Return initcode that deploys `creation` as an EIP-5202 blueprint, 0xFE7100 first."""
        code = _BLUEPRINT_PREAMBLE + self.creation
        return b"\x61" + len(code).to_bytes(2, "big") + bytes.fromhex("3d81600a3d39f3") + code

    def slot(self, *path: str) -> int:
        """Return a variable's storage slot; one of a module's by both names, `slot("m", "x")`."""
        node: AbiValue = self.layout.get("storage_layout", {})
        for part in path:
            if not isinstance(node, Mapping) or part not in node:
                raise ArtifactError(f"{self.name} has no storage variable {'.'.join(path)}")
            node = node[part]
        return int(node["slot"])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=4_096)
def _digest_version(path: Path, _modified: int, _size: int) -> str:
    return _digest(path.read_bytes())


def _digest_file(path: Path) -> str:
    """Return a file's digest, read again only when its time or size has changed."""
    status = path.stat()
    return _digest_version(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _compiler() -> str:
    """Return the compiler and the cache's own format, which make a cache file good or stale."""
    try:
        return f"vyper {importlib.metadata.version('vyper')}, format {_FORMAT}"
    except importlib.metadata.PackageNotFoundError:
        raise ArtifactError("vyper is not installed; run `make setup`") from None


@lru_cache(maxsize=16)
def _sources(root: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted((root / "contracts").rglob("*.vy")):
        found.setdefault(path.stem, []).append(path)
    return found


def find_source(stem: str, root: Path = ROOT) -> Path:
    """Return contracts/**/<stem>.vy; raise ArtifactError unless there is exactly one."""
    found = _sources(root).get(stem, [])
    if not found or not all(path.is_file() for path in found):
        _sources.cache_clear()
        found = _sources(root).get(stem, [])
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(path.relative_to(root)) for path in found)
        raise ArtifactError(f"{stem} is ambiguous: {names}; give one of them another name")
    raise ArtifactError(f"there is no {stem}.vy under {root / 'contracts'}")


@dataclass(frozen=True, slots=True)
class _Cached:
    """A cache file: the artifact, and what it was made with."""

    made_with: str
    sources: Mapping[str, str]
    artifact: Artifact


def _parse(text: str) -> _Cached:
    data = json.loads(text)
    artifact = Artifact(
        name=data["name"],
        abi=data["abi"],
        creation=bytes.fromhex(data["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(data["bytecode_runtime"].removeprefix("0x")),
        layout=data["layout"],
    )
    return _Cached(data.get("made_with", ""), data["sources"], artifact)


@lru_cache(maxsize=256)
def _parse_version(path: Path, _modified: int, _size: int) -> _Cached:
    return _parse(path.read_text())


def _read_cached(path: Path, made_with: str, root: Path) -> Artifact | None:
    """Return what the cache holds, None if any source or the compiler has changed."""
    if not path.is_file():
        return None
    status = path.stat()
    cached = _parse_version(path, status.st_mtime_ns, status.st_size)
    if cached.made_with != made_with:
        return None
    for source, digest in cached.sources.items():
        file = root / source
        if not file.is_file() or _digest_file(file) != digest:
            return None
    return cached.artifact


def _write_cached(path: Path, text: str) -> None:
    """Write a file whole or not at all: several test processes may write the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).replace(path)


def _compile(source: str, path: Path, root: Path) -> tuple[dict[str, AbiValue], dict[str, str]]:
    """Compile a source; return the compiler's outputs and the digest of each file it imported."""
    from vyper.compiler import CompilerData, outputs_from_compiler_data  # type: ignore[import-untyped]
    from vyper.compiler.input_bundle import (  # type: ignore[import-untyped]
        FileInput,
        FilesystemInputBundle,
    )
    from vyper.exceptions import VyperException  # type: ignore[import-untyped]

    folders = [Path(entry) for entry in sys.path if entry and Path(entry).is_dir()]
    bundle = FilesystemInputBundle([*folders, root])
    file = FileInput(source_id=-1, path=path, resolved_path=path, contents=source)
    collecting = gc.isenabled()
    # The compiler's trees live until it is done: looking for garbage among them costs a sixth more.
    gc.disable()
    try:
        compiled = CompilerData(file, bundle)
        outputs = outputs_from_compiler_data(compiled, _OUTPUTS)
        imports = compiled.resolved_imports.compiler_inputs
    except VyperException as error:
        raise ArtifactError(f"{path.name} does not compile: {error}") from error
    finally:
        if collecting:
            gc.enable()
    digests = {
        os.path.relpath(one.resolved_path, root): _digest(one.contents.encode())
        for one in imports
        if not one.from_builtin
    }
    return outputs, digests


def _build(name: str, source: str | None, path: Path, cache: Path, root: Path) -> Artifact:
    """Return an artifact from the cache or the compiler; `source` None reads the file at `path`."""
    made_with = _compiler()
    cached = _read_cached(cache, made_with, root)
    if cached is not None:
        return cached
    text = path.read_text() if source is None else source
    outputs, digests = _compile(text, path, root)
    if source is None:
        digests[os.path.relpath(path, root)] = _digest(text.encode())
    cached_text = json.dumps(
        {
            "name": name,
            "made_with": made_with,
            "sources": digests,
            **{key: outputs[key] for key in _OUTPUTS},
        }
    )
    _write_cached(cache, cached_text)
    return _parse(cached_text).artifact


def load(stem: str, *, root: Path = ROOT) -> Artifact:
    """Return the contract contracts/**/<stem>.vy, compiled now or before.

    Raises ArtifactError when there is none, when two share the name, when it does not compile.
    """
    path = find_source(stem, root)
    cache = root / ".cache" / "artifacts" / f"{stem}.json"
    return _build(stem, None, path, cache, root)


def compile_source(source: str, name: str, *, root: Path = ROOT) -> Artifact:
    """Compile a source given as text; it may import snekmate and `contracts.modules`.

    Raises ArtifactError when it does not compile.
    """
    cache = root / ".cache" / "artifacts" / f"{name}-{_digest(source.encode())[:16]}.json"
    return _build(name, source, root / f"{name}.vy", cache, root)


def load_npm(path: str, *, root: Path = ROOT) -> Artifact:
    """Return a contract from a JSON file of an npm package, by its path below node_modules.

    For example "canonical-weth/build/contracts/WETH9.json". Hardhat's, Foundry's, Truffle's and
    Chainlink's forms are read. Raises ArtifactError when the file is
    missing, has no bytecode, or leaves libraries to be linked.
    """
    file = root / "node_modules" / path
    if not file.is_file():
        raise ArtifactError(f"{path} is not in node_modules; run `make setup`")
    data = json.loads(file.read_text())
    data = data.get("compilerOutput", data)
    evm = data.get("evm", data)
    name = str(data.get("contractName", file.stem))
    return Artifact(
        name=name,
        abi=data["abi"],
        creation=_bytecode(evm.get("bytecode"), name, needed=True),
        runtime=_bytecode(evm.get("deployedBytecode"), name, needed=False),
    )


def _bytecode(code: object, name: str, *, needed: bool) -> bytes:
    text = code.get("object") if isinstance(code, Mapping) else code
    digits = text.removeprefix("0x") if isinstance(text, str) else ""
    if needed and not digits:
        raise ArtifactError(f"{name} comes without bytecode")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ArtifactError(f"{name} must be linked with its libraries first") from None

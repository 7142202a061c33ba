"""Mutants compiled in process, their source from memory."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from vyper.compiler import CompilerData
from vyper.compiler.input_bundle import CompilerInput, FileInput, FilesystemInputBundle
from vyper.exceptions import VyperException

from ringfence.evm import artifacts
from ringfence.evm.artifacts import ROOT, Artifact, find_source, load

_FAULTS = (VyperException, ValueError, TypeError, AssertionError, KeyError, RecursionError)
"""What the compiler ends in on a source that is none: its own exceptions, and Python's from slips
of its own."""


class InvalidMutantError(Exception):
    """The mutated source does not compile."""


class _Overlay(FilesystemInputBundle):
    """The files on disk, one of them with other contents."""

    def __init__(self, path: Path, contents: str) -> None:
        folders = [Path(entry) for entry in sys.path if entry and Path(entry).is_dir()]
        super().__init__([*folders, ROOT])
        self._path, self._contents = path, contents

    def _load_from_path(self, resolved_path: Path, original_path: Path) -> CompilerInput:
        if resolved_path != self._path:
            return super()._load_from_path(resolved_path, original_path)
        source_id = self._generate_source_id(resolved_path)
        return FileInput(source_id, original_path, resolved_path, self._contents)


def analysed(path: Path, contents: str | None = None, changed: Path | None = None) -> CompilerData:
    """Return the compiler's data of a source, `contents` standing in for `changed` (or `path`)."""
    text = path.read_text()
    changed = changed or path
    text = contents if contents is not None and changed == path else text
    bundle = _Overlay(changed, contents if contents is not None else text)
    return CompilerData(FileInput(-1, path, path, text), bundle, no_bytecode_metadata=True)


def compile_mutant(stem: str, changed: Path, contents: str) -> Artifact:
    """Compile contracts/**/<stem>.vy with `contents` in the place of the file `changed`.

    Carries no metadata: equal code is equal bytes. Raises InvalidMutantError.
    """
    path = find_source(stem)
    try:
        data = analysed(path, contents, changed)
        creation, runtime = data.bytecode, data.bytecode_runtime
    except _FAULTS as error:
        raise InvalidMutantError(str(error).split("\n")[0]) from error
    sound = load(stem)
    return Artifact(sound.name, sound.abi, creation, runtime, sound.layout)


def digest(artifact: Artifact) -> str:
    """Return what tells two mutants' code apart."""
    return hashlib.sha256(artifact.creation).hexdigest()[:16]


def install(artifact: Artifact, stem: str) -> None:
    """Have this process load the mutant wherever the repository's contract is asked for."""
    build = artifacts._build

    def substitute(name: str, source: str | None, path: Path, cache: Path, root: Path) -> Artifact:
        if name == stem and source is None and root == ROOT:
            return artifact
        return build(name, source, path, cache, root)

    artifacts._build = substitute

"""The conditional jumps of the vault's bytecode, and the source lines that they stem from."""

from __future__ import annotations

import os
import sys
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from eth.vm.forks.cancun.opcodes import CANCUN_OPCODES

from ringfence.evm.artifacts import ROOT, find_source, load
from ringfence.evm.engine import Branch

_JUMPI, _JUMPDEST, _REVERT = 0x57, 0x5B, 0xFD
_PUSH_0, _PUSH_1, _PUSH_32 = 0x5F, 0x60, 0x7F
_BARE_REVERTS = (bytes((_JUMPDEST, _PUSH_0, _PUSH_0, _REVERT)), bytes.fromhex("5b5f80fd"))


class Jump(NamedTuple):
    """A conditional jump; `looks_at` is the operation that decides, and whether it can revert."""

    place: str
    file: str
    text: str
    looks_at: str


def _operations(code: bytes) -> list[int]:
    """Return the program counter of each instruction; what a PUSH holds is none."""
    found, at = [], 0
    while at < len(code):
        found.append(at)
        at += 1 + (code[at] - _PUSH_0 if _PUSH_1 <= code[at] <= _PUSH_32 else 0)
    return found


def conditional_jumps(code: bytes) -> list[int]:
    """Return the program counter of each conditional jump."""
    return [at for at in _operations(code) if code[at] == _JUMPI]


def all_branches(code: bytes) -> set[Branch]:
    """Return both ways of each conditional jump."""
    return {(at, taken) for at in conditional_jumps(code) for taken in (False, True)}


@cache
def jumps(stem: str) -> dict[int, Jump]:
    """Return a contract's conditional jumps by program counter.

    What the compiler adds has no line of its own, and gets that of the nearest instruction before
    it in its block, or else of the next.
    """
    code, lines = load(stem).runtime, source_lines(stem)
    operations = _operations(code)
    found = {}
    for n, at in enumerate(operations):
        if code[at] != _JUMPI:
            continue
        before = takewhile(lambda one: code[one] != _JUMPDEST, reversed(operations[: n + 1]))
        near = [one for one in (*before, *operations[n:]) if one in lines]
        path, line = lines[near[0]].split(":")
        text = (ROOT / path).read_text().splitlines()[int(line) - 1].strip()
        first, test, goal = operations[n - 3 : n]
        looks_at = CANCUN_OPCODES[code[test]].mnemonic
        if looks_at == "ISZERO":
            looks_at = f"{CANCUN_OPCODES[code[first]].mnemonic} ISZERO"
        target = int.from_bytes(code[goal + 1 : at], "big")
        if code[target : target + 4] in _BARE_REVERTS:
            looks_at += ", reverts"
        found[at] = Jump(lines[near[0]], path.removeprefix("contracts/"), text, looks_at)
    return found


def source_lines(stem: str) -> dict[int, str]:
    """Return, by program counter, the file and line that an instruction stems from."""
    from vyper.compiler import CompilerData  # type: ignore[import-untyped]
    from vyper.compiler.input_bundle import (  # type: ignore[import-untyped]
        FileInput,
        FilesystemInputBundle,
    )
    from vyper.ir.compile_ir import assembly_to_evm  # type: ignore[import-untyped]

    path = find_source(stem)
    folders = [Path(entry) for entry in sys.path if entry and Path(entry).is_dir()]
    file = FileInput(source_id=-1, path=path, resolved_path=path, contents=path.read_text())
    compiled = CompilerData(file, FilesystemInputBundle([*folders, ROOT]))
    _code, maps = assembly_to_evm(compiled.assembly_runtime, compiler_metadata=None)
    return {
        at: f"{os.path.relpath(node.module_node.resolved_path, ROOT)}:{node.lineno}"
        for at, node in maps["pc_raw_ast_map"].items()
        if getattr(node, "module_node", None) is not None
    }

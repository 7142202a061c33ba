"""The conditional jumps of the vault's bytecode, and the source lines that they stem from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ringfence.evm.artifacts import ROOT, find_source
from ringfence.evm.replay import Branch

_JUMPI, _PUSH_1, _PUSH_32, _PUSH_0 = 0x57, 0x60, 0x7F, 0x5F


def conditional_jumps(code: bytes) -> list[int]:
    """Return the program counter of each conditional jump; what a PUSH holds is no instruction."""
    found, at = [], 0
    while at < len(code):
        operation = code[at]
        if operation == _JUMPI:
            found.append(at)
        at += 1 + (operation - _PUSH_0 if _PUSH_1 <= operation <= _PUSH_32 else 0)
    return found


def all_branches(code: bytes) -> set[Branch]:
    """Return both ways of each conditional jump."""
    return {(at, taken) for at in conditional_jumps(code) for taken in (False, True)}


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

"""ISO-1 on the vault's bytecode: a call on position i writes slot i and the books, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import z3
from eth_utils.crypto import keccak

from ringfence.evm.artifacts import Artifact, load
from tests.support.broken import Break, load_broken
from verification.proofs.bytecode.evm import (
    Byte,
    Code,
    Machine,
    Path,
    bytes_of,
    hash_facts,
    hash_of,
)
from verification.proofs.bytecode.words import Word, term
from verification.proofs.property import Property, Verdict

_I, _J = z3.BitVecs("position_i position_j", 256)
_PLAIN = {
    "top_up": "uint256,uint256",
    "repay": "uint256,uint256",
    "adjust": "uint256,int256,int256,address,bytes",
    "close": "uint256,address,bytes",
    "liquidate": "uint256,uint256,uint256,address,bytes",
}
_DATA_SIZES = (0, 32)
_ASSUMES = (
    "any storage, immutables, caller, time below 2**40, gas, answers of tokens, oracle, rate model "
    "and callback; call data as the ABI lays it out, `data` of 0 or 32 arbitrary bytes; keccak of "
    "two words is injective and at least 2**64; products and quotients are arbitrary functions; "
    "nothing is written on re-entry (AUTH-3, tested)"
)


def selector(name: str, types: str) -> bytes:
    """Return the first four bytes of the signature's hash."""
    return keccak(text=f"{name}({types})")[:4]


def calldata(name: str, data_size: int) -> list[Byte]:
    """Return call data for the entry point: position i, then unknown words."""
    types = _PLAIN[name].split(",")
    data: list[Byte] = list(selector(name, _PLAIN[name])) + bytes_of(_I)
    for place, kind in enumerate(types[1:], 1):
        data += bytes_of(32 * len(types) if kind == "bytes" else z3.BitVec(f"word_{place}", 256))
    if types[-1] == "bytes":
        data += bytes_of(data_size)
        for place in range(0, data_size, 32):
            data += bytes_of(z3.BitVec(f"data_{place}", 256))
    return data


def deployed(artifact: Artifact) -> Code:
    """Return the vault's code with every immutable unknown."""
    layout = artifact.layout["code_layout"]
    size = max(
        one["offset"] + one["length"] for module in layout.values() for one in module.values()
    )
    immutables: list[Byte] = []
    for place in range(0, size, 32):
        immutables += bytes_of(z3.BitVec(f"immutable_{place}", 256))
    return Code(artifact.runtime, tuple(immutables))


def given() -> list[z3.BoolRef]:
    """Return what is assumed of the block and of the two positions."""
    caller, time, value = z3.BitVecs("caller timestamp value", 256)
    return [z3.ULT(caller, 2**160), z3.ULT(time, 2**40), value == 0, _I != _J]


def allowed(artifact: Artifact) -> list[Word]:
    """Return the keys that a call on position i may write."""
    books = [artifact.slot("balance_sheet", name) for name in ("_word_1", "_word_2")]
    return [*books, hash_of(artifact.slot("position_slot", "_words"), _I)]


def _foreign_write(machine: Machine, path: Path, artifact: Artifact) -> str:
    """Return the model of a write to slot j or to any key not allowed, else nothing."""
    mapping = artifact.slot("position_slot", "_words")
    free = allowed(artifact)
    for key, _value in path.writes:
        if any(term(key).eq(term(one)) for one in free):
            continue
        solver = z3.Solver()
        solver.add(machine.solver.assertions())
        solver.add(hash_facts(mapping, _I), hash_facts(mapping, _J))
        solver.add(z3.And(*(term(key) != term(one) for one in free)))
        found = solver.check()
        if found == z3.unknown:
            raise TimeoutError("the solver could not decide a write")
        if found == z3.sat:
            solver.push()
            solver.add(term(key) == hash_of(mapping, _J))
            hits = solver.check() == z3.sat
            if not hits:
                solver.pop()
                solver.check()
            model = solver.model()
            ids = ", ".join(f"{word} = {model.eval(word, True).as_long():#x}" for word in (_I, _J))
            return f"{'writes slot j' if hits else f'writes {key}'} where {ids}"
    return ""


def prove(name: str, source: Callable[[], Artifact]) -> Verdict:
    """Follow every path of the entry point; look at each write of those that succeed."""
    artifact = source()
    code, ended, succeeded, writes = deployed(artifact), 0, 0, 0
    for size in _DATA_SIZES if _PLAIN[name].endswith("bytes") else (0,):
        machine = Machine(code, calldata(name, size), given())
        for path in machine.run():
            ended += 1
            if path.reason == "revert":
                continue
            succeeded += 1
            writes += len(path.writes)
            fault = _foreign_write(machine, path, artifact)
            if fault:
                return Verdict("refuted", fault)
    if not writes:
        return Verdict("refuted", "no path writes: nothing was examined")
    return Verdict("proved", f"{ended} paths, {succeeded} succeed with {writes} writes")


_STATEMENT = "a successful {} on position i writes slot i and the two words of the books only"

_BROKEN = partial(
    load_broken,
    "MarginVault",
    Break(
        "modules/position_slot.vy",
        "amount << 144)\n    self._words[position_id]",
        "amount << 144)\n    self._words[position_id ^ 1]",
    ),
)

PROPERTIES = (
    *(
        Property(
            id=f"ISO-1.{name}",
            name=f"{name} stays in its slot",
            statement=_STATEMENT.format(name),
            on="bytecode",
            run=partial(prove, name, partial(load, "MarginVault")),
            assumes=_ASSUMES,
            expect="proved" if name in ("top_up", "repay") else "unfinished",
        )
        for name in _PLAIN
    ),
    Property(
        id="ISO-1.top_up.broken",
        name="a top-up of the neighbour is found",
        statement=_STATEMENT.format("top_up") + ", where it stores at id ^ 1",
        on="bytecode",
        run=partial(prove, "top_up", _BROKEN),
        assumes=_ASSUMES,
        expect="refuted",
    ),
)

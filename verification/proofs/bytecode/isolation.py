"""ISO-1 on the vault's bytecode: what each entry point may write, for any call data whatever.

A function of a position writes the slot of the position that it was given and the two words of the
books. No other function writes a position's slot. Whoever comes back while the lock is held writes
nothing, and the lock is held at every call of another contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import z3
from eth_utils.crypto import keccak

from ringfence.audit.state_diff import CREATION, WRITES
from ringfence.evm.artifacts import Artifact, load
from verification.proofs.bytecode.evm import hash_facts, hash_of
from verification.proofs.bytecode.flaws import FLAWS, broken_vault
from verification.proofs.bytecode.merging import MergingMachine, Write
from verification.proofs.bytecode.state import AnyLength, Byte, Code, bytes_of
from verification.proofs.bytecode.words import Word, known, term
from verification.proofs.property import Property, Verdict

_I, _J = z3.BitVecs("position_i position_j", 256)
_ASSUMES = (
    "any storage, immutables, caller, time, gas and call data of any length and layout, answers of "
    "tokens, oracle, rate model and callback; no value is sent; keccak of two words is injective "
    "and at least 2**64; paths that meet are merged, which only adds behaviour"
)


@dataclass(frozen=True, slots=True)
class May:
    """What a function may write, by the names of the storage layout.

    `own` is a mapping of which only the entry of the first argument is free, `maps` one whose
    entries all are, `nested` one of mappings.
    """

    words: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()


def _may(rules: tuple[str, ...]) -> May:
    """Return what the rules of a call allow, each key of a mapping but the position free."""
    found: dict[str, list[str]] = {"words": [], "own": [], "maps": [], "nested": []}
    for rule in rules:
        name, *keys = rule.split("[")
        kind = "own" if keys == ["position_id]"] else ("words", "maps", "nested")[len(keys)]
        # Two entries of one mapping are one rule here.
        if name not in found[kind]:
            found[kind].append(name)
    return May(**{kind: tuple(names) for kind, names in found.items()})


MAY = {name: _may(rules) for name, rules in WRITES.items() if name != CREATION}
"""Every function that may write, and what, from the table that each transaction is held to."""


def _type_of(argument: dict[str, Any]) -> str:
    """Return an argument's type as a signature has it, a struct as its fields."""
    if argument["type"] != "tuple":
        return str(argument["type"])
    return f"({','.join(_type_of(one) for one in argument['components'])})"


def functions(artifact: Artifact) -> dict[str, bytes]:
    """Return the selector of every external function by name."""
    return {
        entry["name"]: keccak(
            text=f"{entry['name']}({','.join(_type_of(one) for one in entry['inputs'])})"
        )[:4]
        for entry in artifact.abi
        if entry["type"] == "function"
    }


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


def given(artifact: Artifact) -> list[z3.BoolRef]:
    """Return what is assumed: an address is one, no value, a string is as long as its type."""
    caller, value = z3.BitVecs("caller value", 256)
    names = artifact.layout["code_layout"]["lender_shares"]
    return [z3.ULT(caller, 2**160), value == 0] + [
        z3.ULE(z3.BitVec(f"immutable_{names[name]['offset']}", 256), bound)
        for name, bound in (("name", 50), ("symbol", 32))
    ]


def explore(artifact: Artifact, selector: bytes, *, locked: bool = False) -> MergingMachine:
    """Return the machine after all that a call of the function can do."""
    machine = MergingMachine(
        deployed(artifact), AnyLength(selector, _I), given(artifact), locked=locked
    )
    machine.explore()
    return machine


def _in_mapping(key: Word, slots: set[int]) -> bool:
    """Whether the key is an entry of one of the mappings at these slots."""
    if isinstance(key, int) or key.decl().name() != "keccak":
        return False
    slot = known(key.arg(0))
    return isinstance(slot, int) and slot in slots


def is_allowed(key: Word, may: May, artifact: Artifact) -> bool:
    """Whether the function may write the key."""

    def slots(names: tuple[str, ...]) -> set[int]:
        return {artifact.slot(*name.split(".")) for name in names}

    if isinstance(key, int):
        return key in slots(may.words)
    own = any(key.eq(hash_of(slot, _I)) for slot in slots(may.own))
    inner = known(key.arg(0)) if key.decl().name() == "keccak" else 0
    return own or _in_mapping(key, slots(may.maps)) or _in_mapping(inner, slots(may.nested))


def _fault(write: Write, artifact: Artifact) -> str:
    """Return in words what is wrong with a write; where it may be slot j, for which i and j."""
    mapping = artifact.slot("position_slot", "_words")
    solver = z3.Solver()
    solver.add(*write.conditions, hash_facts(mapping, _I), hash_facts(mapping, _J), _I != _J)
    if not isinstance(write.key, int) and write.key.decl().name() == "keccak":
        solver.add(hash_facts(known(write.key.arg(0)), known(write.key.arg(1))))
    solver.add(term(write.key) == hash_of(mapping, _J))
    if solver.check() != z3.sat:
        return f"writes {write.key}"
    model = solver.model()
    ids = ", ".join(f"{word} = {model.eval(word, True).as_long():#x}" for word in (_I, _J))
    return f"writes slot j where {ids}"


def prove(name: str, source: Callable[[], Artifact]) -> Verdict:
    """Look at every write that a call of the function can make, and at the lock at its calls."""
    artifact, may = source(), MAY[name]
    machine = explore(artifact, functions(artifact)[name])
    for write in machine.writes:
        if not is_allowed(write.key, may, artifact):
            return Verdict("refuted", _fault(write, artifact))
    if machine.unlocked:
        return Verdict("refuted", f"unlocked call at {sorted(map(hex, machine.unlocked))}")
    if not machine.writes or not machine.ends & {"return", "stop"}:
        return Verdict("refuted", "no write or no success: nothing was examined")
    keys = len({str(write.key) for write in machine.writes})
    return Verdict("proved", f"{machine.steps} steps, {machine.joined} joins, {keys} keys")


def prove_silent(
    names: Callable[[Artifact], list[str]], locked: bool, source: Callable[[], Artifact]
) -> Verdict:
    """Show that none of the functions writes anything or calls out unlocked."""
    artifact = source()
    selectors, steps = functions(artifact), 0
    chosen = names(artifact)
    for name in chosen:
        machine = explore(artifact, selectors[name], locked=locked)
        steps += machine.steps
        if machine.writes:
            return Verdict("refuted", f"{name} {_fault(machine.writes[0], artifact)}")
        if machine.unlocked:
            return Verdict("refuted", f"{name} calls with the lock open")
    return Verdict("proved", f"{len(chosen)} functions, {steps} steps")


def others(artifact: Artifact) -> list[str]:
    """Return the functions that may write nothing."""
    return [name for name in functions(artifact) if name not in MAY]


def _statement(name: str) -> str:
    may = MAY[name]
    parts = [*may.words, *(f"{one}[first argument]" for one in may.own)]
    parts += [f"entries of {one}" for one in (*may.maps, *may.nested)]
    return f"{name} writes {', '.join(parts)} only, and calls out with the lock held"


def _refute(run: Callable[[Callable[[], Artifact]], Verdict], fault: str) -> Verdict:
    """Run on the broken vault; a refutation that does not tell of the fault is none."""
    verdict = run(broken_vault)
    if verdict.status == "refuted" and fault not in verdict.detail:
        return Verdict("unfinished", f"refuted for another reason: {verdict.detail}")
    return verdict


def _pair(
    id: str,  # noqa: A002
    name: str,
    statement: str,
    run: Callable[[Callable[[], Artifact]], Verdict],
    flaw: tuple[str, str],
) -> tuple[Property, Property]:
    """Return a claim of the vault, and the same claim of the broken vault, to be refuted."""
    claim = Property(
        id, name, statement, "bytecode", partial(run, partial(load, "MarginVault")), _ASSUMES
    )
    told, fault = flaw
    broken = replace(
        claim,
        id=f"{id}.broken",
        name=f"{name}: a flaw is found",
        statement=f"{statement}, where {told}",
        run=partial(_refute, run, fault),
        expect="refuted",
    )
    return claim, broken


PROPERTIES = (
    *(
        each
        for name in MAY
        for each in _pair(
            f"ISO-1.{name}",
            f"{name} stays in its place",
            _statement(name),
            partial(prove, name),
            FLAWS[name],
        )
    ),
    *_pair(
        "ISO-1.others",
        "no other function writes",
        "every function that is not named in another ISO-1 property writes nothing",
        partial(prove_silent, others, False),
        ("one more function clears a position", "forget writes slot j"),
    ),
    *_pair(
        "AUTH-3.locked",
        "nobody writes on re-entry",
        "while the lock is held no external function writes anything",
        partial(prove_silent, lambda artifact: list(functions(artifact)), True),
        ("fund_reserve does not look at the lock", "fund_reserve writes"),
    ),
)

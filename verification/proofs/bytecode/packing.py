"""The packed words on bytecode: what is stored comes back, what is too wide reverts."""

from __future__ import annotations

from functools import partial

import z3

from ringfence.evm.artifacts import Artifact, load
from verification.proofs.bytecode.evm import Machine
from verification.proofs.bytecode.isolation import functions
from verification.proofs.bytecode.state import Byte, Code, KnownLength, Path, bytes_of, word_of
from verification.proofs.bytecode.words import Word, term
from verification.proofs.property import Property, Verdict

_WIDTHS = {
    "position": {"collateral": 112, "scaled_debt": 104, "last_risk_increase": 40},
    "limits": {"supply_cap": 104, "debt_cap": 104, "paused_until": 40},
    "books": {
        "total_shares": 104,
        "cash": 112,
        "last_accrual": 40,
        "total_scaled_debt": 104,
        "debt_index": 76,
        "supply_index": 76,
    },
}
"""Bits of each field, by what it belongs to."""


def _fields(artifact: Artifact, what: str) -> list[tuple[z3.BitVecRef, int]]:
    """Return an unknown word and its width for every field, in the order of the struct."""
    entry = next(one for one in artifact.abi if one.get("name") == f"store_{what}")
    names = [one["name"] for one in entry["inputs"][0]["components"]]
    return [(z3.BitVec(name, 256), _WIDTHS[what][name]) for name in names]


def _decide(conditions: list[z3.BoolRef], claim: z3.BoolRef) -> z3.ModelRef | None:
    """Return a model of the conditions in which the claim fails."""
    solver = z3.SolverFor("QF_UFBV")
    solver.add(*conditions, z3.Not(claim))
    found = solver.check()
    if found == z3.unknown:
        raise TimeoutError("the solver could not decide")
    return solver.model() if found == z3.sat else None


def _loaded(artifact: Artifact, what: str, path: Path) -> list[Word]:
    """Return the words that a load returns from the storage that the path left."""
    stored = {key: value for key, value in path.writes if isinstance(key, int)}
    data = KnownLength(tuple(functions(artifact)[f"load_{what}"]))
    environment: dict[int, Word] = {0x34: 0}
    machine = Machine(
        Code(artifact.runtime), data, environment=environment, stored=lambda key: stored.get(key, 0)
    )
    (only,) = machine.run()
    return [word_of(only.returned[at : at + 32]) for at in range(0, len(only.returned), 32)]


def prove(what: str, narrower: int = 0) -> Verdict:
    """Follow a store of unknown fields, then a load; `narrower` claims each field so much less."""
    artifact = load("MathsHarness")
    fields = _fields(artifact, what)
    data: list[Byte] = list(functions(artifact)[f"store_{what}"])
    for word, _width in fields:
        data += bytes_of(word)
    fits = z3.And(*(z3.ULT(word, 2 ** (width - narrower)) for word, width in fields))
    empty = z3.BoolVal(what == "position") & (fields[0][0] == 0)
    machine = Machine(Code(artifact.runtime), KnownLength(tuple(data)), environment={0x34: 0})
    stored = reverted = 0
    for path in machine.run():
        conditions = list(path.conditions.values())
        if path.reason == "revert":
            reverted += 1
            claim = z3.Not(z3.Or(fits, empty))
        else:
            stored += 1
            words = _loaded(artifact, what, path)
            same = z3.And(*(term(w) == f for w, (f, _) in zip(words, fields, strict=True)))
            none = z3.And(*(term(w) == 0 for w in words))
            claim = z3.Or(z3.And(fits, z3.Not(empty), same), z3.And(empty, none))
        model = _decide(conditions, claim)
        if model is not None:
            return Verdict("refuted", f"{path.reason} where {model}".replace("\n", ""))
    if not stored or not reverted:
        return Verdict("refuted", "nothing stored or nothing refused: nothing was examined")
    return Verdict("proved", f"{stored} paths store, {reverted} revert")


PROPERTIES = tuple(
    Property(
        id=f"PACK.{what}{suffix}",
        name=f"a word of {what} comes back",
        statement=f"fields of {what} that fit{text} are stored and loaded unchanged; "
        "any other store reverts",
        on="bytecode",
        run=partial(prove, what, narrower),
        assumes="the harness, which compiles the vault's modules; a position without collateral "
        "is the zero word whatever its other fields",
        expect="refuted" if narrower else "proved",
    )
    for what in _WIDTHS
    for suffix, text, narrower in (("", "", 0), (".broken", " in one bit less than they have", 1))
)

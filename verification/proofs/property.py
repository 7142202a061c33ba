"""A property to be proved, and what came of it: all that the runner knows of either kind of proof.

A module of verification/proofs/bytecode/ or verification/proofs/lemmas/ that holds a sequence
`PROPERTIES` has it run by `python -m verification.proofs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["proved", "refuted", "unfinished"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one run.

    `detail` is what was explored for a proof, the counterexample for a refutation, and the reason
    for an unfinished run.
    """

    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Property:
    """One claim.

    `id` is unique and starts with the invariant's, as "ISO-1.top_up". `on` says of what it speaks:
    the compiled bytecode, or the mirror's expressions over mathematical integers. `assumes` lists
    what is taken for granted and the bounds. `expect` is "refuted" for a claim about a contract
    broken on purpose, and "unfinished" for one that the solver cannot finish; that one's `assumes`
    names the bound at which it does. `limit` is in seconds of processor time.
    """

    id: str
    name: str
    statement: str
    on: Literal["bytecode", "integers"]
    run: Callable[[], Verdict]
    assumes: str = ""
    expect: Status = "proved"
    limit: int = 120

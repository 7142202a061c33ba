"""Write docs/verification.md from the figures in verification/*.json, or check it."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from verification.sources import PROOFS, digest_of_sources

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "verification"
PAGE = ROOT / "docs" / "verification.md"
AROUND = (
    "allow", "break_oracle", "break_rate", "donate", "give", "set_quote", "set_rate", "warp",
)  # fmt: skip
"""Steps of a fuzzing run that are no calls of the vault."""

TEXT = """\
# Verification

Written by `make verification` from the figures that the commands below leave in
[verification/](../verification): change those, not this page. What is promised stands in
[invariants.md](invariants.md), with the tests that assert each promise; what is not, in the
[threat model](threat-model.md); the attacks tried, in [attacks.md](attacks.md).

Four sides check the same sentence, "only this position's collateral is at risk", and solvency
with it. Each would notice what another overlooks: random calls compare the contract with a second
implementation; the state diff looks at what was written, not at why; proofs cover what nobody
drew; mutants ask whether any of it would notice a fault.

## Random calls against the mirror

`make fuzz STEPS=1_000_000` plays the compiled vault and the integer mirror (ringfence/math) in
lockstep through every entry point and compares every word, return value, revert reason and what
the events carry after each call, their topics after one successful call in ten and each that costs
lenders; {anvil_share} of the steps run on anvil besides, where logs with topics, gas and each
conditional jump by program counter are compared too ([why](adr/0007-fuzzing.md)). A difference is
cut down to the calls that suffice and printed as a test. `make test` plays a smaller share, CI two
minutes; a run of a million steps or more leaves its figures. A step is a call of the vault or
something around it: time, a price, a gift. A branch that is called not reached may have been taken
where nobody looked. {fuzz_state}

{fuzz}

## What each transaction may write

Not by looking at results: each storage slot that a transaction wrote is mapped to its owner, and
one outside what that call may write fails the test. The rules are one table,
[ringfence/audit/state_diff.py](../ringfence/audit/state_diff.py). It is applied to every
transaction sent through the tests' chains, to what Ape, web3 and the commands send to the tests'
nodes, and by the fuzzer to its own; `make test` prints how many there were. Not seen is a node that
a command starts in a process of its own: one rehearsal of a deployment.

## Proofs

`make prove` ([why so](adr/0008-proofs.md)). **Bytecode** proofs follow the compiled vault on
unknown words; **integers** are lemmas about the mirror's own functions, run on unbounded
integers, which random calls tie to the bytecode. Each proof must also refute the same claim about
code broken on purpose: on bytecode as a property of its own, `.broken`, and a lemma in its own run.
{proved} {proofs_state}

{proofs}

## Mutants

`make mutants` changes one thing in a source, compiles it, and asks whether the tests notice
([how](adr/0009-mutants.md)). Mutants with the bytecode of another, or of the contract, are
dropped; strata are functions. Seed {seed}; {mutants:,} mutants in {functions} functions; compiling
and testing took {mutant_seconds:,.0f} s in all, two at a time, on {mutant_machine}. {mutants_state}

{rates}

{survivors}

## The compiler

`make lint` holds storage layout, immutables, bytecode and its size to
[compiled.json](../verification/compiled.json): a change fails until `make compiled` acknowledges
it.
"""


def _read(name: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((FIGURES / f"{name}.json").read_text())
    return figures


def _table(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _fuzz(figures: dict[str, Any]) -> str:
    calls = [ends for name, ends in figures["calls"].items() if name not in AROUND]
    made = sum(sum(ends.values()) for ends in calls)
    succeeded = sum(ends.get("success", 0) for ends in calls)
    rows = [
        ("steps", f"{figures['steps']:,}"),
        ("calls of the vault", f"{made:,}, {succeeded:,} of them successful"),
        ("on anvil too", f"{figures['anvil_steps']:,}"),
        ("time", f"{figures['seconds']:,.0f} s on {figures['machine']}"),
        ("steps a second", f"{figures['steps_a_second']:,}"),
        ("entry points that never succeeded", len(figures["calls_never_succeeded"])),
        ("revert reasons missed", f"{len(figures['reasons_missed'])} of {figures['reasons']}"),
        ("branches of the bytecode", _branches(figures)),
        ("differences", 0),
    ]
    notes = [
        f"- Cannot be reached: {len(branches)} of the branches ({why})."
        for why, branches in figures["branches_unreachable"].items()
    ]
    notes += [f"- Not reached in this run: {branch}." for branch in figures["branches_missed"]]
    return _table(("", f"seed {figures['seed']}"), rows) + "\n\n" + "\n".join(notes)


def _branches(figures: dict[str, Any]) -> str:
    excluded = sum(map(len, figures["branches_unreachable"].values()))
    return (
        f"{figures['branches_reached']} of {figures['branches']} reached, {excluded} cannot be, "
        f"{len(figures['branches_missed'])} open"
    )


def _proofs(figures: dict[str, Any]) -> str:
    rows = [
        (one["id"], one["on"], one["verdict"], one["seconds"], one["statement"].replace("|", "\\|"))
        for one in figures["properties"]
    ]
    return _table(("property", "on", "verdict", "seconds", "statement"), rows)


def _proved(figures: dict[str, Any]) -> str:
    verdicts = Counter((one["on"], one["verdict"]) for one in figures["properties"])
    told = ", ".join(f"{n} {verdict} on {on}" for (on, verdict), n in sorted(verdicts.items()))
    return f"Last run: {told}; {figures['seconds']:,.0f} s on {figures['machine']}."


def _rates(figures: dict[str, Any]) -> str:
    def percent(rate: dict[str, Any] | None) -> str:
        if rate is None:
            return "not noted"
        span = f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f}"
        return f"{rate['killed']} of {rate['tested']}: {100 * rate['rate']:.1f} % ({span})"

    rows = [
        (
            name,
            *map(
                percent,
                (one["killed"], one["killed_without_equivalents"], one.get("killed_at_first_look")),
            ),
        )
        for name, one in figures["rates"].items()
    ]
    head = (
        "",
        "killed, weighted (95 % interval)",
        "without those argued equivalent",
        "of these at the first look, before tests were written for survivors",
    )
    return _table(head, rows)


def _survivors(figures: dict[str, Any]) -> str:
    if not figures["survivors"]:
        return "None survived."

    def code(text: str) -> str:
        return "`" + " ".join(text.split()).replace("|", "\\|") + "`"

    rows = [
        (f"{one['file']} {one['function']}", code(one["before"]), code(one["after"]),
         " ".join((one["equivalent"] or "**open**").split()).replace("|", "\\|"))
        for one in figures["survivors"]
    ]  # fmt: skip
    return _table(("survivor", "before", "after", "argued equivalent"), rows)


def _state(figures: dict[str, Any], *patterns: str) -> str:
    if figures.get("sources") == digest_of_sources(*patterns):
        return "The sources have not changed since."
    return "**The sources have changed since: run it again.**"


def page() -> str:
    """Return the page's text."""
    fuzz, proofs, mutants = _read("fuzz"), _read("proofs"), _read("mutants")
    return TEXT.format(
        anvil_share=f"{100 * fuzz['anvil_steps'] / fuzz['steps']:.1f} %",
        fuzz=_fuzz(fuzz),
        proved=_proved(proofs),
        proofs=_proofs(proofs),
        seed=mutants["seed"],
        mutants=mutants["mutants"],
        functions=mutants["functions"],
        mutant_seconds=mutants["seconds_of_mutants"],
        mutant_machine=mutants["machine"],
        rates=_rates(mutants),
        survivors=_survivors(mutants),
        fuzz_state=_state(fuzz),
        proofs_state=_state(proofs, PROOFS),
        mutants_state=_state(mutants),
    )


def main() -> int:
    """Write the page, or with `--check` return 1 if it is not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if it differs")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text)
        return 0
    if PAGE.is_file() and PAGE.read_text() == text:
        return 0
    print("docs/verification.md does not show the figures in verification/: make verification")
    return 1


if __name__ == "__main__":
    sys.exit(main())

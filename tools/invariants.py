"""Write docs/invariants.md: each invariant, and the tests that assert it.

The list is verification/invariants.toml. An assertion checks an invariant when its message opens
with the id ("ISO-1: ..."): the message of an `assert`, or a text handed to a helper. A helper
counts where a test reaches it, by name.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path("verification/invariants.toml")
PAGE = Path("docs/invariants.md")
SEARCHED = ("tests", "verification", "ringfence/audit")
ID = re.compile(r"([A-Z]+-\d+)(?::|$)")

KINDS = {
    "verification/proofs": "proof",
    "ringfence/audit": "state diff",
    "tests/support/model": "stateful",
    "tests/support/state_diff": "state diff",
    "tests/property/test_vault_stateful": "stateful",
    "tests/unit/contracts/attacks": "attack",
    "tests/unit": "unit",
    "tests/property": "property",
    "tests/fork": "fork",
    "tests/integration": "integration",
    "tests": "shared check",
    "verification": "campaign",
}
"""How a file asserts, by the first beginning of its path that fits."""

HEAD = """\
# The invariants

Written by `make invariants` from [{source}](../{source}) and the tests: change those, not this
page.

{total} invariants; {asserted} of them asserted, by {count} assertions; the others say what they
wait for. A test is listed where the message of one of its assertions opens with the id, with the
rest of that message. *How*: **unit** drives the code alone, **property** draws inputs with
Hypothesis, **stateful** runs random sequences in lockstep with the integer mirror, **attack** is a
known attack, **proof** holds for every input, **state diff** reads the words that transactions
wrote, **shared check** is called by many tests, **integration** and **fork** run on a node.
"""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One line of the list; `bound` and `waits` may be empty."""

    id: str
    says: str
    bound: str = ""
    waits: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Assertion:
    """A message that opens with an id, and the function it stands in."""

    path: str
    function: str
    id: str
    text: str

    @property
    def kind(self) -> str:
        return next(kind for start, kind in KINDS.items() if self.path.startswith(start))


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a file: the assertions in it, and the names it mentions."""

    path: str
    name: str
    assertions: tuple[Assertion, ...]
    mentions: frozenset[str]

    @property
    def is_entry(self) -> bool:
        """Whether it runs on its own: a test, or anything of the proofs and campaigns."""
        return self.name.split(".")[-1].startswith("test_") or self.path.startswith("verification")


def read_list(root: Path) -> tuple[dict[str, str], list[Invariant]]:
    """Return the titles of the groups and the invariants, in their order."""
    table = tomllib.loads((root / SOURCE).read_text())
    groups: dict[str, str] = table.pop("groups")
    return groups, [Invariant(name, **fields) for name, fields in table.items()]


def message(node: ast.expr) -> str | None:
    """Return a text as it reads in the source, `{...}` for what an f-string fills in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(message(part) or "" for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "{" + ast.unparse(node.value) + "}"
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def messages(node: ast.AST) -> Iterator[str]:
    """Yield the message of an `assert`, or the texts handed to a call."""
    expressions: list[ast.expr] = []
    if isinstance(node, ast.Assert) and node.msg is not None:
        expressions = [node.msg]
    elif isinstance(node, ast.Call):
        expressions = [*node.args, *(keyword.value for keyword in node.keywords)]
    for expression in expressions:
        text = message(expression)
        if text is not None:
            yield text


def functions(path: str, source: str) -> Iterator[Function]:
    """Yield the functions of a file, methods as `Class.method`; nested ones belong to the outer."""
    tree = ast.parse(source, path)
    bodies: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    bodies += [(f"{one.name}.", one.body) for one in tree.body if isinstance(one, ast.ClassDef)]
    for prefix, body in bodies:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                yield _function(path, prefix + node.name, node)


def _function(path: str, name: str, node: ast.FunctionDef) -> Function:
    mentions: set[str] = set()
    found: set[Assertion] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name | ast.arg):
            mentions.add(inner.id if isinstance(inner, ast.Name) else inner.arg)
        elif isinstance(inner, ast.Attribute):
            mentions.add(inner.attr)
        for text in messages(inner):
            if match := ID.match(text):
                found.add(Assertion(path, name, match[1], text[match.end() :].strip()))
    return Function(path, name, tuple(sorted(found)), frozenset(mentions))


def reached(everything: Iterable[Function]) -> list[Function]:
    """Return the entries, and the functions that they mention by name, directly or not."""
    by_name: dict[str, list[Function]] = defaultdict(list)
    todo: list[Function] = []
    for function in everything:
        by_name[function.name.split(".")[-1]].append(function)
        # A class is mentioned by its own name.
        if function.name.endswith(".__init__"):
            by_name[function.name.split(".")[0]].append(function)
        if function.is_entry:
            todo.append(function)
    seen = dict.fromkeys(todo)
    while todo:
        for name in todo.pop().mentions:
            new = [function for function in by_name.pop(name, []) if function not in seen]
            seen.update(dict.fromkeys(new))
            todo += new
    return list(seen)


def find_assertions(root: Path) -> list[Assertion]:
    """Return every assertion of an invariant that a test reaches, sorted by path and function."""
    everything: list[Function] = []
    for folder in SEARCHED:
        for path in sorted((root / folder).rglob("*.py")):
            everything += functions(path.relative_to(root).as_posix(), path.read_text())
    return sorted({one for function in reached(everything) for one in function.assertions})


def problems(invariants: Iterable[Invariant], by_id: Mapping[str, list[Assertion]]) -> list[str]:
    """Return a line for each id without a test, or that the list does not know."""
    known = {invariant.id: invariant for invariant in invariants}
    lines = [
        f"{one.path}::{one.function} asserts {id_}, which {SOURCE} does not list"
        for id_ in by_id.keys() - known.keys()
        for one in by_id[id_]
    ]
    for invariant in known.values():
        if not by_id.get(invariant.id) and not invariant.waits:
            lines.append(f"{invariant.id} has no test: open an assertion's message with its id")
        if by_id.get(invariant.id) and invariant.waits:
            lines.append(f"{invariant.id} is asserted: take its `waits` out of {SOURCE}")
    return sorted(lines)


def write_page(
    groups: Mapping[str, str],
    invariants: list[Invariant],
    by_id: Mapping[str, list[Assertion]],
) -> str:
    """Return the text of the page."""
    count = sum(map(len, by_id.values()))
    asserted = sum(1 for one in invariants if by_id.get(one.id))
    parts = [HEAD.format(source=SOURCE, total=len(invariants), asserted=asserted, count=count)]
    group = ""
    for invariant in invariants:
        if invariant.id.split("-")[0] != group:
            group = invariant.id.split("-")[0]
            parts.append(f"\n## {groups[group]}\n")
        parts.append(_section(invariant, by_id.get(invariant.id, [])))
    return "".join(parts)


def _section(invariant: Invariant, assertions: list[Assertion]) -> str:
    lines = [f"\n### {invariant.id}\n", invariant.says, ""]
    if invariant.bound:
        lines += [f"What holds to the unit: {invariant.bound}", ""]
    if invariant.waits:
        return "\n".join([*lines, f"**No test yet.** {invariant.waits}", ""])
    lines += ["| test | asserts | how |", "|---|---|---|"]
    by_place: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in assertions:
        by_place[one.path, one.function, one.kind].append(one.text)
    for (path, function, kind), texts in by_place.items():
        says = "; ".join(text.replace("|", "\\|") for text in dict.fromkeys(texts) if text)
        lines.append(f"| [{Path(path).stem}](../{path})::{function} | {says} | {kind} |")
    return "\n".join([*lines, ""])


def main(root: Path = ROOT) -> int:
    """Write the page, or with `--check` return 1 if it is not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if it differs")
    check_only = parser.parse_args().check

    groups, invariants = read_list(root)
    by_id: dict[str, list[Assertion]] = defaultdict(list)
    for assertion in find_assertions(root):
        by_id[assertion.id].append(assertion)
    wrong = problems(invariants, by_id)
    if not wrong:
        page = write_page(groups, invariants, by_id)
        is_current = (root / PAGE).exists() and (root / PAGE).read_text() == page
        if check_only and not is_current:
            wrong.append(f"{PAGE} is not what the tests say: make invariants")
        elif not is_current:
            (root / PAGE).write_text(page)
            print(f"{PAGE} written")
    print("".join(f"{line}\n" for line in wrong), end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

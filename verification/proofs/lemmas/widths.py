"""No unchecked sum or product of the vault leaves its word: bounds of intervals, from the sources.

Reads contracts/MarginVault.vy and contracts/modules/*.vy with the compiler's own parser and bounds
every `unsafe_add`, `unsafe_mul`, `unsafe_div` and `*` from its operands up. No operand is negative
and both operations are monotone, so that the largest operands give the largest result: plain
integers decide. Constants, variables that are set once and what most functions return are read from
the sources; `width_table` says what the rest can be, and why. A function is bounded for the
parameters of its rows, and each call of it is held to them. A difference is at most what it is
taken from; that it is not negative, and the few products that rest on a comparison, are argued in
the table and not computed. Shifts are left to the proofs of packing. An operand or a difference
without a row is an error, and so is a row that nothing reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

from vyper import ast
from vyper.ast import parse_to_ast

from verification.proofs.lemmas.width_table import (
    ARGUED,
    CHECKED,
    DIFFERENCES,
    FIELDS,
    OPERANDS,
    RESULTS,
)
from verification.proofs.property import Property, Verdict

T = TypeVar("T")

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"
MAX_WORD = 2**256 - 1
UNCHECKED = ("unsafe_add", "unsafe_sub", "unsafe_mul", "unsafe_div")


class WidthError(Exception):
    """An operation that may leave its word, or of which the table says nothing."""


@cache
def sources() -> dict[str, ast.Module]:
    """Return the parsed sources by module name."""
    paths = [CONTRACTS / "MarginVault.vy", *sorted((CONTRACTS / "modules").glob("*.vy"))]
    return {path.stem: parse_to_ast(path.read_text()) for path in paths}


@cache
def constants() -> dict[str, ast.VyperNode]:
    """Return the expressions of the constants by name; modules agree where they share one."""
    found: dict[str, ast.VyperNode] = {}
    for module in sources().values():
        for declared in module.get_children(ast.VariableDecl):
            if declared.is_constant:
                text = declared.value.node_source_code
                if found.setdefault(declared.target.id, declared.value).node_source_code != text:
                    raise WidthError(f"{declared.target.id} has two values")
    return found


def text_of(node: ast.VyperNode) -> str:
    """Return the source of an expression on one line, without comments."""
    lines = (line.split("#")[0].strip() for line in node.node_source_code.splitlines())
    return " ".join(lines).replace("( ", "(").replace(", )", ")").replace(" )", ")")


def is_operation(node: ast.VyperNode) -> bool:
    """Return whether the node is unchecked arithmetic or a multiplication."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mult)
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in UNCHECKED


def operations(module: ast.Module) -> Iterator[ast.VyperNode]:
    """Yield the operations of a module, outer ones before those inside them."""
    return (node for node in module.get_descendants((ast.Call, ast.BinOp)) if is_operation(node))


@dataclass(slots=True)
class Bounds:
    """Largest values of one module's expressions, by the fields' largest values; the rows read."""

    module: str
    fields: Mapping[str, int] = field(default_factory=lambda: FIELDS)
    used: set[tuple[str, str]] = field(default_factory=set)

    def of(self, node: ast.VyperNode) -> int:
        """Return the largest value of an expression; raise WidthError where it is too large."""
        text = text_of(node)
        if row := self._row(ARGUED, text):
            return row[0]
        if is_operation(node):
            return self._operation(node, text)
        if isinstance(node, ast.Int):
            return int(node.value)
        if isinstance(node, ast.BinOp):
            return self._folded(node)
        if isinstance(node, ast.Call):
            return self._call(node, text)
        return self._operand(node, text)

    def _call(self, node: ast.Call, text: str) -> int:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("min", "max"):
            choose = min if name == "min" else max
            return choose(self.of(argument) for argument in node.args)
        if name == "_div_up":
            dividend, divisor = node.args
            return -(-self.of(dividend) // self._least(divisor))
        if (target := called(self.module, node)) is not None:
            return self._result(*target)
        return self._operand(node, text)

    def _result(self, home: str, function: ast.FunctionDef) -> int:
        """Return the largest value that a function of one result returns."""
        inside = Bounds(home, self.fields, self.used)
        if row := inside._row(RESULTS, function.name):
            return row[0]
        return max(inside.of(each.value) for each in function.get_descendants(ast.Return))

    def _operation(self, node: ast.VyperNode, text: str) -> int:
        first, second = (node.left, node.right) if isinstance(node, ast.BinOp) else node.args
        name = "*" if isinstance(node, ast.BinOp) else node.func.id
        if name == "*" and self._row(CHECKED, text):
            return MAX_WORD
        if name == "unsafe_sub":
            if not self._row(DIFFERENCES, text):
                raise self._missing(node, "the reason why it is not negative")
            return self.of(first) - (self.of(second) if self._is_constant(second) else 0)
        if name == "unsafe_div":
            return self.of(first) // self._least(second)
        a, b = self.of(first), self.of(second)
        result = a + b if name == "unsafe_add" else a * b
        if result > MAX_WORD:
            bits = result.bit_length()
            raise WidthError(f"{self._place(node)}: {text} may take {bits} bits; at most 256 fit")
        return result

    def _folded(self, node: ast.BinOp) -> int:
        """Evaluate `//`, `-` and `**` as the compiler does: of constants only."""
        if not self._is_constant(node):
            raise self._missing(node, "a bound")
        a, b = self.of(node.left), self.of(node.right)
        return {ast.Pow: lambda: a**b, ast.FloorDiv: lambda: a // b, ast.Sub: lambda: a - b}[
            type(node.op)
        ]()

    def _operand(self, node: ast.VyperNode, text: str) -> int:
        function = node.get_ancestor(ast.FunctionDef)
        if function is not None:
            for key in (f"{function.name}: {text}", f"{function.name}({text})"):
                if row := self._row(OPERANDS, key):
                    return row[0]
            declared = _declared(function, text)
            if declared and not _is_set_again(function, text):
                return self.of(declared[0].value)
            if declared:
                raise self._missing(node, "a bound")
        name = node.attr if isinstance(node, ast.Attribute) else text
        if name in constants():
            return self.of(constants()[name])
        if name in self.fields:
            return self.fields[name]
        raise self._missing(node, "a bound")

    def _row(self, table: Mapping[str, Mapping[str, T]], text: str) -> T | None:
        row = table.get(self.module, {}).get(text)
        if row is not None:
            self.used.add((self.module, text))
        return row

    def _least(self, divisor: ast.VyperNode) -> int:
        """Return a constant divisor, and 1 for another; by zero, an unchecked quotient is zero."""
        return self.of(divisor) if self._is_constant(divisor) else 1

    def _is_constant(self, node: ast.VyperNode) -> bool:
        """Return whether an expression is made of numbers and constants alone."""
        if isinstance(node, ast.BinOp):
            return self._is_constant(node.left) and self._is_constant(node.right)
        if isinstance(node, ast.Attribute):
            return node.attr in constants() and getattr(node.value, "id", "") in sources()
        return isinstance(node, ast.Int) or getattr(node, "id", "") in constants()

    def _place(self, node: ast.VyperNode) -> str:
        return f"{self.module}.vy:{node.lineno}"

    def _missing(self, node: ast.VyperNode, what: str) -> WidthError:
        return WidthError(f"{self._place(node)}: {text_of(node)}: the table lacks {what}")


def _declared(function: ast.FunctionDef, name: str) -> list[ast.VyperNode]:
    """Return the declaration of a local variable, if there is one."""
    return [each for each in function.get_descendants(ast.AnnAssign) if each.target.id == name]


def _is_set_again(function: ast.FunctionDef, name: str) -> bool:
    """Return whether anything but its declaration sets a local variable."""
    changed = function.get_descendants((ast.Assign, ast.AugAssign))
    return any(text_of(target) == name for each in changed for target in _targets(each.target))


def _targets(target: ast.VyperNode) -> list[ast.VyperNode]:
    return target.elements if isinstance(target, ast.Tuple) else [target]


def called(module: str, call: ast.Call) -> tuple[str, ast.FunctionDef] | None:
    """Return the module and the function that a call in `module` reaches, if it is the vault's."""
    if not isinstance(call.func, ast.Attribute) or not isinstance(call.func.value, ast.Name):
        return None
    home = module if call.func.value.id == "self" else call.func.value.id
    functions = sources()[home].get_children(ast.FunctionDef) if home in sources() else ()
    found = [function for function in functions if function.name == call.func.attr]
    return (home, found[0]) if found else None


def check_calls(bounds: Bounds) -> Iterator[str]:
    """Yield what is wrong with the arguments of a module's calls: too large, or unknown."""
    for call in sources()[bounds.module].get_descendants(ast.Call):
        home, function = called(bounds.module, call) or ("", None)
        parameters = function.args.args if function is not None else ()
        for parameter, argument in zip(parameters, call.args, strict=False):
            key = f"{function.name}({parameter.arg})"
            limit = bounds.fields.get(parameter.arg)
            if row := OPERANDS.get(home, {}).get(key):
                limit = row[0]
                bounds.used.add((home, key))
            try:
                if limit is not None and bounds.of(argument) > limit:
                    yield f"{bounds.module}.vy:{call.lineno}: {text_of(argument)} exceeds {key}"
            except WidthError as error:
                yield str(error)


def check(fields: Mapping[str, int] = FIELDS) -> dict[str, int]:
    """Return how many operations each module has, all of them bounded.

    Raises WidthError with every operation that is not, and every row that no expression has.
    """
    faults, counts, used = [], {}, set()
    for name, module in sources().items():
        found = list(operations(module))
        within = Bounds(name, fields)
        faults += check_calls(within)
        used |= within.used
        counts[name] = len(found)
        for node in found:
            bounds = Bounds(name, fields)
            try:
                bounds.of(node)
            except WidthError as error:
                faults.append(str(error))
            used |= bounds.used
    tables = (OPERANDS, RESULTS, ARGUED, DIFFERENCES, CHECKED)
    rows = {(name, text) for table in tables for name in table for text in table[name]}
    faults += [f"{name}.vy: no operation has {text}" for name, text in sorted(rows - used)]
    if faults:
        raise WidthError("\n".join(dict.fromkeys(faults)))
    return counts


def decide() -> Verdict:
    """Bound every operation; and show that wider indices would not fit."""
    try:
        counts = check()
    except WidthError as error:
        return Verdict("unfinished", str(error))
    try:
        check({**FIELDS, "debt_index": 2**96 - 1})
    except WidthError as error:
        if "at most 256 fit" in str(error):
            return Verdict("proved", f"{_figures(counts)}; refuted with 96 bits of index")
    return Verdict("unfinished", "still true of indices of 96 bits")


def _figures(counts: Mapping[str, int]) -> str:
    """Return how many operations were bounded, and how many rows rest on an argument."""
    argued = {
        "differences argued": sum(map(len, DIFFERENCES.values())),
        "products argued": sum(map(len, ARGUED.values())),
        "checked by the compiler": sum(map(len, CHECKED.values())),
    }
    whole = f"{sum(counts.values())} operations in {len(counts)} files"
    return ", ".join([whole, *(f"{count} {what}" for what, count in argued.items())])


PROPERTIES = (
    Property(
        id="LIVE-5.widths",
        name="widths of unchecked arithmetic",
        statement="no unchecked sum or product of the vault exceeds 256 bits",
        on="integers",
        run=decide,
        assumes="the rows of verification/proofs/lemmas/width_table.py",
    ),
)

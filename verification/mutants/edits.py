"""The faults: every small edit of a source that its syntax tree and its types suggest.

An edit replaces a stretch of the source. The compiler's own annotated tree says where each
expression stands and of what type it is, so that arguments, fields and variables are exchanged only
for others of the same type, and every edit knows the function it lies in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import vyper.ast as ast

from verification.mutants.build import analysed
from verification.mutants.targets import CONTRACTS

MODULE_LEVEL = "(module)"

_COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
_ARITHMETIC = {
    "+": "-",
    "-": "+",
    "*": "//",
    "//": "*",
    "%": "//",
    "**": "*",
    "<<": ">>",
    ">>": "<<",
    "&": "|",
    "|": "&",
}
_CALLS = {
    "unsafe_add": "unsafe_sub",
    "unsafe_sub": "unsafe_add",
    "unsafe_mul": "unsafe_div",
    "unsafe_div": "unsafe_mul",
    "min": "max",
    "max": "min",
}
_ROUNDING = {"_up": "_down", "_down": "_up"}
_COMMUTATIVE = ("unsafe_add", "unsafe_mul", "min", "max")
_OPERANDS = {"and": "True", "or": "False"}
_NUMBERS = ("uint256", "int256")


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """One edit: characters `start` to `end` of contracts/`file` become `text`."""

    file: str
    function: str
    start: int
    end: int
    text: str
    operator: str

    @property
    def key(self) -> str:
        """Names the edit among all of one state of the sources."""
        return f"{self.file}:{self.start}-{self.end}:{self.text}"

    def apply(self) -> str:
        """Return the mutated source."""
        source = read(self.file)
        return source[: self.start] + self.text + source[self.end :]

    @property
    def line(self) -> int:
        """Where the edit begins, counted from 1."""
        return read(self.file).count("\n", 0, self.start) + 1

    def lines(self) -> tuple[str, str]:
        """Return the lines that it touches, stripped, before and after: what names it for good."""
        source = read(self.file)
        first = source.rfind("\n", 0, self.start) + 1
        last = source.find("\n", self.end)
        before = source[first:last]
        after = source[first : self.start] + self.text + source[self.end : last]
        return _stripped(before), _stripped(after)


def _stripped(lines: str) -> str:
    return "\n".join(line.strip() for line in lines.splitlines())


@lru_cache
def read(file: str) -> str:
    """Read the source contracts/`file`, once."""
    return (CONTRACTS / file).read_text()


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a source, in the order of its text."""
    return _Source(file).mutants()


class _Source:
    """A source with its annotated tree."""

    def __init__(self, file: str) -> None:
        self.file, self.text = file, read(file)
        self._starts = [0]
        for line in self.text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._tree = analysed(CONTRACTS / file).annotated_vyper_module

    def span(self, node: ast.VyperNode) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.VyperNode) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def mutants(self) -> list[Mutant]:
        found: dict[str, Mutant] = {}
        for function, start, end, text, operator in self._edits():
            if self.text[start:end] != text:
                mutant = Mutant(self.file, function, start, end, text, operator)
                found.setdefault(mutant.apply(), mutant)
        return sorted(found.values())

    def _edits(self) -> Iterator[tuple[str, int, int, str, str]]:
        pragma = "# pragma nonreentrancy on\n"
        if pragma in self.text:
            start = self.text.index(pragma)
            yield MODULE_LEVEL, start, start + len(pragma), "", "lock"
        for variable in self._tree.get_children(ast.VariableDecl):
            if variable.value is not None:
                for edit in self._in_expressions([variable.value]):
                    yield MODULE_LEVEL, *edit
        for function in self._tree.get_children(ast.FunctionDef):
            for edit in self._in_function(function):
                yield function.name, *edit

    def _in_function(self, function: ast.FunctionDef) -> Iterator[tuple[int, int, str, str]]:
        for decorator in function.decorator_list:
            if self.of(decorator) == "reentrant":
                start, end = self.span(decorator)
                yield start - 1, end, "", "lock"
        expressions: list[ast.VyperNode] = []
        for statement in _statements(function.body):
            yield from self._statement(statement, function)
            expressions += _expressions(statement)
        yield from self._in_expressions(expressions)
        yield from self._exchanged(expressions)

    # Statements

    def _statement(
        self, node: ast.VyperNode, function: ast.FunctionDef
    ) -> Iterator[tuple[int, int, str, str]]:
        start, end = self.span(node)
        match node:
            case (
                ast.Expr() | ast.Assign() | ast.AugAssign() | ast.Log() | ast.Assert() | ast.Raise()
            ):
                yield start, end, "pass", "statement"
            case ast.Break() | ast.Continue():
                yield start, end, "pass", "statement"
            case ast.If():
                for value in ("True", "False"):
                    yield *self.span(node.test), value, "condition"
            case ast.AnnAssign():
                yield from self._value(node.value, self.of(node.annotation))
            case ast.Return() if node.value is not None and function.returns is not None:
                yield from self._value(node.value, self.of(function.returns))
        if isinstance(node, ast.Assign) and _type(node.value) in _NUMBERS:
            yield from self._off_by_one(node.value)

    def _value(self, node: ast.VyperNode, kind: str) -> Iterator[tuple[int, int, str, str]]:
        if not kind.startswith("("):
            yield *self.span(node), f"empty({kind})", "value"
        if kind in _NUMBERS:
            yield from self._off_by_one(node)

    def _off_by_one(self, node: ast.VyperNode) -> Iterator[tuple[int, int, str, str]]:
        if not isinstance(node, ast.Int):
            yield *self.span(node), f"unsafe_add({self.of(node)}, 1)", "off by one"

    # Expressions

    def _in_expressions(
        self, expressions: list[ast.VyperNode]
    ) -> Iterator[tuple[int, int, str, str]]:
        for node in expressions:
            for one in (node, *node.get_descendants()):
                yield from self._expression(one)

    def _expression(self, node: ast.VyperNode) -> Iterator[tuple[int, int, str, str]]:
        start, end = self.span(node)
        match node:
            case ast.UnaryOp():
                yield start, end, self.of(node.operand), "sign"
            case ast.Compare():
                yield from self._operator(node.left, node.right, _COMPARISONS, "comparison")
            case ast.BinOp():
                swaps = {one: (other,) for one, other in _ARITHMETIC.items()}
                yield from self._operator(node.left, node.right, swaps, "arithmetic")
            case ast.BoolOp():
                yield from self._both(node)
            case ast.Call():
                yield from self._call(node)
            case ast.Constant():
                for text, operator in _other_values(node):
                    yield start, end, text, operator

    def _operator(
        self,
        left: ast.VyperNode,
        right: ast.VyperNode,
        swaps: dict[str, tuple[str, ...]],
        operator: str,
    ) -> Iterator[tuple[int, int, str, str]]:
        start, end = self.span(left)[1], self.span(right)[0]
        gap = self.text[start:end]
        old = next((token for token in gap.split() if token in swaps), None)
        if old is not None:
            at = start + gap.index(old)
            for new in swaps[old]:
                yield at, at + len(old), new, operator

    def _both(self, node: ast.BoolOp) -> Iterator[tuple[int, int, str, str]]:
        word = "and" if isinstance(node.op, ast.And) else "or"
        for left, right in pairwise(node.values):
            swaps = {"and": ("or",), "or": ("and",)}
            yield from self._operator(left, right, swaps, "logic")
        for operand in node.values:
            yield *self.span(operand), _OPERANDS[word], "condition"

    def _call(self, node: ast.Call) -> Iterator[tuple[int, int, str, str]]:
        start, end = self.span(node.func)
        name = self.text[start:end]
        last = name.rpartition(".")[2]
        if last == "_div_up":
            yield start, end, "unsafe_div", "rounding"
        elif last in _CALLS:
            yield start, end, _CALLS[last], "call"
        for one, other in _ROUNDING.items():
            swapped = last.removesuffix(one) + other
            if last.endswith(one) and swapped in _names():
                yield start, end, name.removesuffix(last) + swapped, "rounding"
        if last not in _COMMUTATIVE:
            yield from self._swapped(list(node.args))
        yield from self._swapped([keyword.value for keyword in node.keywords])
        for keyword in node.keywords:
            if keyword.arg == "default_return_value":
                before = self.span(node.args[-1])[1]
                yield before, self.span(keyword)[1], "", "keyword"

    def _swapped(self, values: list[ast.VyperNode]) -> Iterator[tuple[int, int, str, str]]:
        for one, other in pairwise(values):
            if _type(one) == _type(other) and self.of(one) != self.of(other):
                (start, middle), (rest, end) = self.span(one), self.span(other)
                between = self.text[middle:rest]
                yield start, end, self.of(other) + between + self.of(one), "exchange"

    # Variables

    def _exchanged(self, expressions: list[ast.VyperNode]) -> Iterator[tuple[int, int, str, str]]:
        """Each variable, constant or field for the next of its type in the same function."""
        uses = [one for node in expressions for one in _variables(node)]
        known: dict[str, list[str]] = {}
        for node in uses:
            texts = known.setdefault(_type(node), [])
            if self.of(node) not in texts:
                texts.append(self.of(node))
        for node in uses:
            texts = known[_type(node)]
            other = texts[(texts.index(self.of(node)) + 1) % len(texts)]
            yield *self.span(node), other, "variable"


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    """Return the names of all functions."""
    words = " ".join(path.read_text() for path in CONTRACTS.rglob("*.vy")).replace("(", " ").split()
    return frozenset(after for word, after in pairwise(words) if word == "def")


def _other_values(node: ast.Constant) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Int():
            for value in (node.value + 1, max(node.value - 1, 0), 0):
                yield str(value), "number"
        case ast.Hex():
            yield f"0x{int(node.value, 16) ^ 1:0{len(node.value) - 2}x}", "number"
        case ast.NameConstant() if node.value in (True, False):
            yield str(not node.value), "truth"
        case ast.Str() if node.value:
            yield f'"{node.value[:-1]}"', "text"


def _type(node: ast.VyperNode) -> str:
    return str(node._metadata.get("type"))


def _statements(body: list[ast.VyperNode]) -> Iterator[ast.VyperNode]:
    for statement in body:
        yield statement
        for inner in ("body", "orelse"):
            yield from _statements(getattr(statement, inner, None) or [])


def _expressions(node: ast.VyperNode) -> list[ast.VyperNode]:
    """Return a statement's own expressions: no types, no targets, nothing of statements within."""
    match node:
        case ast.If() | ast.Assert():
            message = getattr(node, "msg", None)
            return [node.test] if message is None else [node.test, message]
        case ast.For():
            return [node.iter]
        case ast.Break() | ast.Continue() | ast.Pass() | ast.Raise():
            return []
    return [node.value] if node.value is not None else []


def _variables(node: ast.VyperNode) -> Iterator[ast.VyperNode]:
    for one in (node, *node.get_descendants()):
        is_called = isinstance(one.get_ancestor(), ast.Call) and one.get_ancestor().func is one
        if isinstance(one, ast.Name | ast.Attribute) and not is_called and _type(one) != "None":
            yield one

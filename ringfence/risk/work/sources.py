"""Which code a module's answers follow from: its source and all that it imports of its package.

Kept results and machine code are known by it, so that neither outlives the code it came from.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

from ringfence.risk.errors import RiskError

_PACKAGE = __name__.partition(".")[0]


@cache
def digest_of(module: str) -> str:
    """Return the SHA-256 of a module's sources, as they are when first asked for.

    Raises RiskError where the module has no file.
    """
    sources = sources_of(module)
    if module not in sources:
        raise RiskError(f"the code of {module} is in no file of that name; import it from a module")
    return hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()


def sources_of(module: str) -> dict[str, str]:
    """Return the SHA-256 of a module's source and of all that it imports, packages too, by name.

    Imports are followed within this package and the module's own, wherever in the code they stand.
    """
    sources: dict[str, str] = {}
    left, followed = [module], {_PACKAGE, module.partition(".")[0]}
    while left:
        name = left.pop()
        if name in sources or name.partition(".")[0] not in followed:
            continue
        path = _path(name)
        if path is not None:
            package = name.rpartition(".")[0]
            sources[name], imported = _read(path, name if path.stem == "__init__" else package)
            # Whoever imports a module runs the package that it lies in first.
            left += [package, *imported]
    return sources


def _path(name: str) -> Path | None:
    """Return the file of a module, None where the name is that of something else."""
    top, *rest = name.split(".")
    spec = find_spec(top) if top != "__main__" else None
    if spec is None or spec.submodule_search_locations is None:
        return None
    at = Path(next(iter(spec.submodule_search_locations)), *rest)
    return next((one for one in (at.with_suffix(".py"), at / "__init__.py") if one.is_file()), None)


@cache
def _read(path: Path, package: str) -> tuple[str, list[str]]:
    """Return the SHA-256 of a source, and the names that it imports."""
    source = path.read_bytes()
    return hashlib.sha256(source).hexdigest(), list(_imported(ast.parse(source), package))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{one.name}" for one in node.names)

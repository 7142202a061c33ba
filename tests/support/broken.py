"""Contracts broken on purpose: the real sources with a guard taken out.

An attack that is shown to work on one of these, and then to fail on the real contract, is known to
be stopped by that guard and by nothing else.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ringfence.evm.artifacts import ROOT, Artifact, load

_FOLDER = ROOT / ".cache" / "broken"


@dataclass(frozen=True, slots=True)
class Break:
    """One change: in contracts/`file`, `guard` (which must stand there just once) gives way."""

    file: str
    guard: str
    instead: str = ""


@lru_cache(maxsize=256)
def load_broken(stem: str, *breaks: Break) -> Artifact:
    """Compile contracts/**/<stem>.vy with the breaks made, wherever in its imports they lie."""
    # Without the doubles: no contract imports one, and a new one leaves the rest as compiled.
    sources = {
        path.relative_to(ROOT): path.read_text()
        for path in sorted((ROOT / "contracts").rglob("*.vy*"))
        if "testing" not in path.parts
    }
    for change in breaks:
        path = Path("contracts") / change.file
        times = sources[path].count(change.guard)
        assert times == 1, f"{change.file} holds the guard {times} times: {change.guard!r}"
        sources[path] = sources[path].replace(change.guard, change.instead)
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]
    root = _FOLDER / f"{stem}-{digest}"
    if not root.is_dir():
        _write(sources, root)
    return load(stem, root=root)


def _write(sources: dict[Path, str], root: Path) -> None:
    """Write the tree whole or not at all: several test processes may write the same one."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=_FOLDER))
    for path, text in sources.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    try:
        folder.rename(root)
    except OSError:
        if not root.is_dir():
            raise
        shutil.rmtree(folder)

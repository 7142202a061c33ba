"""What a report was made with, so that it can be made again: versions, hashes, the command."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

from ringfence import __version__
from ringfence.evm.artifacts import ROOT

_COMPILED = ROOT / "verification" / "compiled.json"


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of this package, of Python and of others, by name."""
    others = {name: version(name) for name in packages}
    return {"ringfence": __version__, "python": platform.python_version(), **others}


def vault_hash() -> dict[str, str]:
    """Return the hash of the vault's bytecode as the repository records it, by its name."""
    compiled = json.loads(_COMPILED.read_text(encoding="utf-8"))
    return {"SHA-256 of the vault's bytecode": compiled["MarginVault"]["creation"]["sha256"]}


def command() -> dict[str, str]:
    """Return the command line that is running, by its name."""
    program, *words = sys.argv
    return {"command": shlex.join([Path(program).name, *words])}


def sha256(data: bytes) -> str:
    """Return a SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()

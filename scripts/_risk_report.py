"""`--report`: one HTML page of what a risk command found, and what it takes to run it again."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringfence import __version__
from ringfence.evm.artifacts import ROOT
from ringfence.risk.errors import RiskError

if TYPE_CHECKING:
    from ringfence.risk.report.panel import Panel

_COMPILED = ROOT / "verification" / "compiled.json"

report_option = click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write what was found to this file, a page of HTML with figures.",
)


def write_report(
    to: Path,
    title: str,
    lead: Sequence[str],
    given: Mapping[str, object],
    files: Sequence[Path],
    panels: Sequence[Panel],
) -> None:
    """Write a page; `given` is the scenario, with its seed if it has one, `files` its inputs.

    Raises RiskError where the file cannot be written.
    """
    # It takes a second to import, which only those who use it should wait.
    from ringfence.risk.report.page import render

    page = render(title, lead, _facts(given, files), panels)
    try:
        to.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RiskError(f"{to} cannot be written: {error.strerror}; pass another file") from None
    click.echo(f"report: {to}", err=True)


def _facts(given: Mapping[str, object], files: Sequence[Path]) -> dict[str, str]:
    """Return seed, versions, hashes and the command line, by name."""
    vault = json.loads(_COMPILED.read_text(encoding="utf-8"))["MarginVault"]["creation"]["sha256"]
    scenario = json.dumps(given, sort_keys=True).encode()
    program, *words = sys.argv
    return {
        "seed": str(given.get("seed", "none: nothing was drawn")),
        "ringfence": __version__,
        "numpy": version("numpy"),
        "numba": version("numba"),
        "python": platform.python_version(),
        **{f"SHA-256 of {one.name}": _sha256(one.read_bytes()) for one in files},
        "SHA-256 of the scenario": _sha256(scenario),
        "SHA-256 of the vault's bytecode": vault,
        "command": shlex.join([Path(program).name, *words]),
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

"""`--report`: one HTML page of what a risk command found, and what it takes to run it again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringfence.report import made
from ringfence.risk.errors import RiskError
from scripts._node import fail

if TYPE_CHECKING:
    from ringfence.report.panel import Panel


def _place(_ctx: click.Context, _param: click.Parameter, to: Path | None) -> Path | None:
    """Return where a report goes; end the command, before it works, where none can go there."""
    if to is not None:
        folder = next(one for one in to.absolute().parents if one.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            fail(f"{to} cannot be written: {folder} takes no files; pass another file")
    return to


report_option = click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_place,
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
    from ringfence.report.page import render

    write_page(to, render("report on risk", title, lead, _facts(given, files), panels))


def write_page(to: Path, page: str) -> None:
    """Write a page and say where it is; raise RiskError where the file cannot be written."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RiskError(f"{to} cannot be written: {error.strerror}; pass another file") from None
    click.echo(f"report: {to}", err=True)


def _facts(given: Mapping[str, object], files: Sequence[Path]) -> dict[str, str]:
    """Return seed, versions, hashes and the command line, by name."""
    return {
        "seed": str(given.get("seed", "none: nothing was drawn")),
        **made.versions("numpy", "numba"),
        **{f"SHA-256 of {one.name}": made.sha256(one.read_bytes()) for one in files},
        "SHA-256 of the scenario": made.sha256(json.dumps(given, sort_keys=True).encode()),
        **made.vault_hash(),
        **made.command(),
    }

"""Compare what stands on a chain with its record: `ape run verify --network ...`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ringfence.deploy import DeployError, source_commit, verify
from ringfence.deploy.verify import is_of
from scripts._node import ROOT, NodeCommand, connected, refuse_empty


@click.command(cls=NodeCommand)
@click.option(
    "--record",
    "record_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="In place of deployments/<chain id>.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def cli(record_file: Path | None, as_json: bool) -> None:
    """Exit with 0 when code and immutables are as recorded, with 1 and the differences if not."""
    node = connected()
    store = node.store(record_file)
    record = store.load(node.chain_id)
    if not record.contracts:
        raise DeployError(f"{store.path} records nothing on chain {node.chain_id}; deploy first")
    refuse_empty(node)
    commit = source_commit(ROOT)
    findings = verify(record, node.reader(), commit)
    unlike = [key for key, entry in record.contracts.items() if not is_of(entry, commit)]
    if as_json:
        result = {
            "chain_id": record.chain_id,
            "record": str(store.path),
            "contracts": len(record.contracts),
            "of_other_sources": unlike,
            "findings": [asdict(finding) for finding in findings],
        }
        click.echo(json.dumps(result, indent=2))
    else:
        console = Console()
        table = Table(title=f"Chain {record.chain_id}: {store.path}", title_justify="left")
        for column in ("contract", "what", "recorded", "on chain"):
            table.add_column(column, overflow="fold")
        for finding in findings:
            table.add_row(finding.key, finding.what, finding.recorded, finding.found)
        if findings:
            console.print(table)
        console.print(f"{len(record.contracts)} contracts, {len(findings)} differences")
        if unlike:
            console.print(
                f"{len(unlike)} of other sources than this checkout's: their code was compared "
                "with the recorded hash, not with a compilation"
            )
    sys.exit(1 if findings else 0)

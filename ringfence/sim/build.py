"""What a run was made with, as the head of its report says it."""

from __future__ import annotations

from ringfence.deploy import Record
from ringfence.report.made import versions

_BLUEPRINT = "blueprint"
_SHORT = 10
"""Characters of a source commit."""


def build_of(record: Record, node: str) -> dict[str, str]:
    """Return versions, source commit and the vault's code hash, by the names the report shows.

    `record` is that of the run's deployment, `node` what the node calls itself. The hash is the
    blueprint's: the code of every vault is that code, made with its own immutables.
    """
    told = {**versions("vyper"), "node": node}
    if (blueprint := record.contracts.get(_BLUEPRINT)) is not None:
        told["source"] = blueprint.source_commit[:_SHORT]
        told["vault blueprint"] = blueprint.code_hash
    return told

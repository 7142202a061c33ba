"""The deployment record: what stands on a chain, written whole after each step.

`deployments/<chain id>.json` is committed for public chains; local chains and forks have theirs
under `out/`. A record also holds the one transaction that is under way, written before it is sent:
whatever interrupts a deployment, the next run can tell what became of it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ringfence.deploy.errors import FileError
from ringfence.deploy.files import Address

VAULTS = "vaults/"
"""What the keys of vaults begin with; the market's id follows."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Part):
    """One contract that stands.

    `arguments` are its constructor's in plain form, `code_hash` the keccak of its code on chain,
    `block` the number of the block that created it.
    """

    contract: str
    address: Address
    tx_hash: str
    block: int
    arguments: dict[str, Any]
    code_hash: str
    source_commit: str
    blueprint: bool = False


class Creating(_Part):
    """What a transaction under way creates; `address` is None where only the receipt tells it."""

    contract: str
    arguments: dict[str, Any]
    source_commit: str
    address: Address | None = None
    blueprint: bool = False


class Pending(_Part):
    """The transaction under way: signed and written here before it is sent.

    `key` is the step's, `since` the last block before it, `digest` what it does; `creates` is None
    where it creates nothing.
    """

    key: str
    account: Address
    nonce: int
    tx_hash: str
    digest: str
    since: int
    creates: Creating | None = None


class Record(_Part):
    """Everything that was deployed on one chain, by the keys of its steps."""

    chain_id: int
    contracts: dict[str, Entry] = {}
    pending: Pending | None = None

    def address(self, key: str) -> str:
        """Return the address of what a step created; raise FileError when it is not there."""
        if key not in self.contracts:
            raise FileError(
                f"record of chain {self.chain_id}", [f"{key} is not deployed; deploy it first"]
            )
        return self.contracts[key].address

    @property
    def vaults(self) -> dict[str, str]:
        """The vaults' addresses by the ids of their markets."""
        return {
            key.removeprefix(VAULTS): entry.address
            for key, entry in self.contracts.items()
            if key.startswith(VAULTS)
        }

    def begin(self, pending: Pending) -> Record:
        """Return the record with a transaction under way."""
        return self.model_copy(update={"pending": pending})

    def drop_pending(self) -> Record:
        """Return the record without the transaction under way."""
        return self.model_copy(update={"pending": None})

    def add(self, key: str, entry: Entry) -> Record:
        """Return the record with one more contract and nothing under way."""
        return self.model_copy(
            update={"contracts": {**self.contracts, key: entry}, "pending": None}
        )


@dataclass(frozen=True, slots=True)
class RecordStore:
    """The file that a record lives in."""

    path: Path

    def load(self, chain_id: int) -> Record:
        """Return the record, an empty one when there is no file yet.

        Raises FileError when the file is not a record, or another chain's.
        """
        if not self.path.exists():
            return Record(chain_id=chain_id)
        try:
            record = Record.model_validate_json(self.path.read_bytes())
        except OSError as error:
            raise FileError(str(self.path), [f"cannot be read: {error.strerror}"]) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            reason = f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}"
            raise FileError(
                str(self.path), [f"is not a deployment record: {reason}; restore it from git"]
            ) from None
        if record.chain_id != chain_id:
            problem = f"is the record of chain {record.chain_id}, the node is on chain {chain_id}"
            next_step = "connect to the right network or name another record"
            raise FileError(str(self.path), [f"{problem}; {next_step}"])
        return record

    def save(self, record: Record) -> None:
        """Write the record whole or not at all, and on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = record.model_dump_json(indent=2) + "\n"
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name, suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        finally:
            Path(name).unlink(missing_ok=True)


def record_path(root: Path, chain_id: int, *, rehearsal: bool) -> Path:
    """Return where a chain's record lies; that of a local chain or a fork is kept from git."""
    folder = root / "out" / "deployments" if rehearsal else root / "deployments"
    return folder / f"{chain_id}.json"


def source_commit(root: Path) -> str:
    """Return the commit of the checkout at `root`, "-dirty" behind it if contracts/ has changed.

    "unknown" where there is no git or no repository.
    """
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", "contracts")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()

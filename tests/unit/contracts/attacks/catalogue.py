"""The known attacks, each with the guard that stops it and the test that shows it.

Such a test runs one attack twice: first on `broken`, the real sources less that guard, where it
must work, then on `real`, where it must fail. `@attack` says which guard that is, and files the
test here; docs/attacks.md is written from these entries.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ringfence.evm.artifacts import ROOT, Artifact, load
from tests.support.broken import Break, load_broken

CLASSES = (
    "share inflation and donation",
    "first-borrower share games",
    "1-wei repay front-run",
    "dust positions",
    "tiny liquidations over the edge",
    "cash filled to its width by a gift",
    "reserve collected around a flash repayment",
    "reserve collected before a loss",
    "collateral withdrawn in a pause",
    "operator's loss bound at the wrong price",
    "self-liquidation for the bonus in one block",
    "splitting liquidations",
    "bad debt hidden behind 1 wei of collateral",
    "price 0",
    "stale feed",
    "sequencer fault",
    "decimals fault",
    "fee-on-transfer token",
    "blacklisting token",
    "vanished token",
    "false-returning token",
    "over-wide amounts",
    "router drained by crafted data",
    "liquidator drained by crafted data",
    "grant to the router turned on its giver",
    "transaction held back",
    "leftover allowance",
    "ether of another's in the router",
    "unknown vault",
    "factory front-run",
    "theft of the factory's seeds",
    "CREATE2 squatting",
    "signature replay across chains",
    "signature replay across vaults",
    "signature replay of a nonce",
    "signature replay after a fork",
    "malleable signature",
    "signature of nobody",
    "read-only re-entry",
    "cross-contract re-entry",
    "re-entry through the callback",
    "re-entry through a token hook",
    "re-entry through the oracle",
    "re-entry through the rate model",
    "gas-griefing of the rate call",
    "operator escalation",
    "pausing unfairly",
    "100 % utilisation",
    "index saturation",
)
"""Every class must have a test: a new one comes with it."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: what stops it, what it does without (`without`), how it ends here (`here`)."""

    title: str
    guard: str
    without: str
    here: str
    breaks: tuple[Break, ...]
    contract: str
    seen: str
    test: str

    @property
    def broken(self) -> Artifact:
        """The contract with the guard taken out."""
        return load_broken(self.contract, *self.breaks)

    @property
    def real(self) -> Artifact:
        """The contract as it is."""
        return load(self.contract)


ATTACKS: dict[str, Attack] = {}
"""By the test's id, path::name."""

Test = Callable[..., None]


def attack(
    title: str,
    *,
    guard: str,
    breaks: tuple[Break, ...],
    without: str,
    here: str,
    contract: str = "MarginVault",
    seen: str = "",
) -> Callable[[Test], Test]:
    """File a test under its attack; `seen` is where the world has met it, with the source."""
    assert title in CLASSES, f"{title!r} is no class of attack; add it to CLASSES"
    assert breaks, f"{title}: without a break there is no double"

    def file(test: Test) -> Test:
        name = id_of(test)
        ATTACKS[name] = Attack(title, guard, without, here, breaks, contract, seen, name)
        return test

    return file


def id_of(test: Test) -> str:
    """Return the id that pytest knows a test by, its parameters left out."""
    path = Path(test.__code__.co_filename).relative_to(ROOT)
    return f"{path.as_posix()}::{test.__name__}"


def collect() -> dict[str, Attack]:
    """Import every test file of this folder and return what they have filed, file by file."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"{__package__}.{path.stem}")
    # Whichever file was imported first; within one, as they stand there.
    return dict(sorted(ATTACKS.items(), key=lambda entry: entry[0].split("::")[0]))

"""Names the state of the sources that a run's figures belong to."""

from __future__ import annotations

import hashlib

from ringfence.evm.artifacts import ROOT


def digest_of_sources(*patterns: str) -> str:
    """Return a digest of the contracts, doubles left out, and of the files that patterns name."""
    paths = {one for one in (ROOT / "contracts").rglob("*.vy*") if "testing" not in one.parts}
    paths.update(path for pattern in patterns for path in ROOT.glob(pattern))
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return total.hexdigest()[:16]


PROOFS = "verification/proofs/**/*.py"

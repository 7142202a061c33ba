"""What a keeper wants, and what its transactions cost in gas."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_TARGETS = 128
"""The most targets that the Liquidator takes in one call."""

GAS_CAP = 16_777_216
"""The most gas that a transaction may have (EIP-7825)."""


@dataclass(frozen=True, slots=True)
class GasModel:
    """Gas of `liquidate_batch`, refunds off: measured on Uniswap's and our own bytecode.

    `shared` is a transaction's, `target` a position's through one pool, `hop` a further pool's.
    """

    shared: int = 128_000
    target: int = 88_000
    hop: int = 43_000

    def per_target(self, pools: int) -> int:
        """Return what a position adds, sold through some pools."""
        return self.target + (pools - 1) * self.hop

    def charged(self, targets: int, pools: int) -> int:
        """Return what a batch is charged."""
        return self.shared + targets * self.per_target(pools)

    def limit(self, targets: int, pools: int) -> int:
        """Return a limit that such a batch runs in: a fifth is refunded after, an eighth spare."""
        return self.charged(targets, pools) * 5 // 4 * 9 // 8

    def used(self, limit: int, targets: int, pools: int) -> int:
        """Return what a batch that needs a limit of gas is charged, once a fifth is refunded.

        At most what was seen of refunds is counted on, for a token may refund nothing.
        """
        return limit - min(limit // 5, self.charged(targets, pools) // 4)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is worth sending, wei.

    `least_profit` is what a transaction must leave when its gas is paid, `most_loss` what an
    insolvent position may cost, gas included. `batches` is the most transactions of a vault at
    once, `at_once` of all: what is due beyond waits for the next block. `assets` are the tokens
    that profits may be in, 20 bytes each; none: any. Anyone can make a vault of a token that is
    worth nothing. `borne` are the vaults whose losses are borne, 20 bytes each; None: any. Whoever
    makes a vault can be the lender whom a loss pays. Without `assets` a planner takes those of such
    vaults.
    """

    least_profit: int = 0
    most_loss: int = 0
    gas: GasModel = field(default_factory=GasModel)
    gas_cap: int = GAS_CAP
    targets: int = MAX_TARGETS
    batches: int = 8
    at_once: int = 16
    assets: frozenset[bytes] = frozenset()
    borne: frozenset[bytes] | None = None

    def trusts(self, vault: bytes) -> bool:
        """Return whether a vault is one whose losses are borne."""
        return self.borne is None or vault in self.borne

    def loss(self, vault: bytes) -> int:
        """Return what an insolvent position of a vault may cost, wei."""
        return self.most_loss if self.trusts(vault) else 0

    def room(self, pools: int) -> int:
        """Return how many targets a transaction holds."""
        room = min(self.targets, MAX_TARGETS)
        while room > 1 and self.gas.limit(room, pools) > self.gas_cap:
            room -= 1
        return room

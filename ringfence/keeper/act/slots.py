"""The nonces of one key at one block: which are open, for what, and which is the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ringfence.keeper.act.bid import Bid, Fees, Target
from ringfence.keeper.act.ledger import OPEN, Row, State
from ringfence.keeper.act.reconcile import Chain, by_nonce
from ringfence.keeper.act.sending import Verdict
from ringfence.keeper.chain.wire import Header

_USED = (*OPEN, State.MINED, State.FAILED)


@dataclass(slots=True)
class Slots:
    """All attempts of each nonce, and what the node says of the account; kept up to date.

    `head` is the number of the block that bids are of; receipts may be of later ones.
    """

    chain: Chain
    attempts: dict[int, list[Row]]
    head: int

    @classmethod
    def of(cls, rows: Sequence[Row], chain: Chain, head: Header) -> Slots:
        """Return the slots of a ledger's rows."""
        return cls(chain, by_nonce(rows), head.number)

    def put(self, row: Row) -> None:
        """Take over a row: a new one, or a known one that changed."""
        others = [
            one
            for one in self.attempts.get(row.nonce, [])
            if one.attempt != row.attempt and one.hash != row.hash
        ]
        self.attempts[row.nonce] = sorted([*others, row], key=lambda one: one.attempt)

    def add(self, row: Row) -> None:
        """Take over a new row, which replaces the open one of its nonce."""
        for one in self.attempts.get(row.nonce, []):
            if one.state in OPEN:
                self.put(replace(one, state=State.REPLACED))
        self.put(row)

    def live(self, nonce: int) -> Row | None:
        """Return the open transaction of a nonce."""
        return next((row for row in self.attempts.get(nonce, []) if row.state in OPEN), None)

    def open(self) -> list[Row]:
        """Return the open transactions, by nonce."""
        return [row for nonce in sorted(self.attempts) if (row := self.live(nonce)) is not None]

    def covered(self, besides: int | None = None) -> set[Target]:
        """Return the targets of the open transactions, those of one nonce left out.

        With those that were mined after the head: bids do not know yet what became of them.
        """
        mined = [
            row
            for attempts in self.attempts.values()
            for row in attempts
            if row.outcome is not None and row.outcome.block > self.head
        ]
        return {t for row in [*self.open(), *mined] if row.nonce != besides for t in row.targets}

    def next_nonce(self) -> int:
        """Return the lowest nonce that nothing uses, ours or foreign: no hole stays below it."""
        nonce = self.chain.mined
        while nonce < self.chain.pending or any(
            row.state in _USED for row in self.attempts.get(nonce, [])
        ):
            nonce += 1
        return nonce

    def next_attempt(self, nonce: int) -> int:
        """Return the number of the next transaction with a nonce."""
        return max([row.attempt for row in self.attempts.get(nonce, [])], default=-1) + 1

    def floors(self, nonce: int) -> list[tuple[int, int]]:
        """Return the max fees and tips that the next transaction with a nonce has to outbid."""
        return [
            (row.max_fee, row.tip)
            for row in self.attempts.get(nonce, [])
            if row.state is not State.DROPPED or _was_underpriced(row)
        ]

    def is_stuck(self, row: Row, head: Header, fees: Fees, patience: int) -> bool:
        """Return whether an open transaction has to be replaced.

        It has waited for `patience` blocks, and so many since the one before it was mined; or gas
        costs more than it offers; or the one that was to replace it offered too little.
        """
        last = self.attempts[row.nonce][-1]
        if _was_underpriced(last):
            return last.block < head.number
        if head.number - row.block < patience:
            return False
        before = self.attempts.get(row.nonce - 1, [])
        since = max([one.outcome.block for one in before if one.outcome], default=row.block)
        is_late = row.nonce == self.chain.mined and head.number - since >= patience
        return is_late or row.max_fee < fees.price

    def was_refused(self, nonce: int, bid: Bid, head: Header) -> str | None:
        """Return why nodes refused a bid in this very block, None when they did not."""
        for row in self.attempts.get(nonce, []):
            same = (row.block, row.targets) == (head.number, bid.targets)
            if same and row.state is State.DROPPED:
                return row.error
        return None

    def committed(self, besides: int) -> int:
        """Return what the open transactions of other nonces may cost, wei."""
        return sum(row.gas * row.max_fee for row in self.open() if row.nonce != besides)


def _was_underpriced(row: Row) -> bool:
    refused = row.state is State.DROPPED
    return refused and (row.error or "").startswith(Verdict.UNDERPRICED)

"""The only part of the keeper that signs and sends: one key, its nonces in a row.

Every step starts from the ledger and the chain and keeps nothing in between, so that a lane which
died at any point goes on where it was. What was written down is sent again, the same bytes; what
was not written down was never sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from eth_utils.crypto import keccak

from ringfence.client.signing import Signer
from ringfence.errors import RingfenceError
from ringfence.evm.abi import checksum
from ringfence.keeper.act.bid import Bid, Fees, Target
from ringfence.keeper.act.fees import offer
from ringfence.keeper.act.ledger import OPEN, Guard, Ledger, LedgerError, Row, State
from ringfence.keeper.act.reconcile import (
    moved,
    questions,
    read_answers,
    read_receipts,
    receipts_of,
    settled,
)
from ringfence.keeper.act.report import LaneReport, Left, Sent
from ringfence.keeper.act.sending import Verdict, broadcast
from ringfence.keeper.act.signing import DAY, PolicyError, SigningPolicy, call_of, check_signed
from ringfence.keeper.act.slots import Slots
from ringfence.keeper.chain.wire import Header, Rpc, WireError
from ringfence.keeper.memory.aside import aside

_LATER = 2**62
"""After any block."""
WINDOW = 64
"""Blocks for which what is settled is looked at again: a reorganisation may undo it."""


class _StopError(RingfenceError):
    """The nonces are not what the node said: nothing more is sent in this step."""


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """How the lane behaves; counts of blocks are from a transaction's first sending.

    One that is not mined after `patience` blocks is replaced; one that only relays have goes to the
    public node as well after `public_after`, None for never. `most_open` nonces may wait at once. A
    `dry_run` neither signs nor sends.
    """

    patience: int = 2
    public_after: int | None = None
    most_open: int = 16
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """One key's lane. `rpc` reads; `submit` are relays, and with any only they get transactions.

    The guard is called inside the transaction of each of the ledger's changes; what it raises comes
    through `step`.
    """

    rpc: Rpc
    ledger: Ledger
    signer: Signer
    signing: SigningPolicy
    policy: LanePolicy = LanePolicy()
    submit: Sequence[Rpc] = ()
    guard: Guard | None = None

    def __post_init__(self) -> None:
        """Raise PolicyError when the policy is of another account or chain than the ledger."""
        theirs = self.ledger.chain_id, self.ledger.account
        if theirs != (self.signing.chain_id, self.signing.account):
            raise PolicyError(
                f"the ledger is of account 0x{self.ledger.account.hex()} on chain {theirs[0]}, not "
                f"of 0x{self.signing.account.hex()} on {self.signing.chain_id}; open the right one"
            )

    def busy(self, head: Header) -> bool:
        """Return whether a step has something to see to, bids or none; raise LedgerError."""
        return bool(self.ledger.rows(head.number - WINDOW))

    def waits(self) -> bool:
        """Return whether a transaction may still be mined; raise LedgerError."""
        return any(row.state in OPEN for row in self.ledger.rows(_LATER))

    def waiting(self, head: Header) -> dict[Target, int]:
        """Return the nonces of the open transactions, by their targets; raise LedgerError."""
        rows = [row for row in self.ledger.rows(head.number) if row.state in OPEN]
        return {target: row.nonce for row in rows for target in row.targets}

    async def step(self, head: Header, fees: Fees, bids: Sequence[Bid]) -> LaneReport:
        """Find out what became of the open transactions, and send what is worth it; once a block.

        `bids` are all that are wanted now, those already sent included, the best first.
        """
        report = LaneReport(head.number)
        try:
            slots = await self._reconcile(head, report)
            try:
                await _Step(self, head, fees, slots, report).run(bids)
            finally:
                report.waiting = slots.open()
        except (LedgerError, WireError, _StopError) as error:
            report.problems.append(str(error))
        return report

    async def _reconcile(self, head: Header, report: LaneReport) -> Slots:
        """Write down what the chain says of every transaction that may still change."""
        rows = await aside(self.ledger.rows, head.number - WINDOW)
        asked = questions(self.signing.account, head, rows)
        chain = read_answers(rows, await self.rpc.batch(asked))
        if again := moved(rows, chain):
            receipts = read_receipts(again, await self.rpc.batch(receipts_of(again)))
            chain = replace(chain, receipts={**chain.receipts, **receipts})
        report.changed = settled(rows, chain, head, self.signing.liquidator)
        if report.changed:
            await aside(self.ledger.settle, report.changed, self.guard)
        slots = Slots.of(rows, chain, head)
        for row in report.changed:
            slots.put(row)
        return slots


@dataclass(slots=True)
class _Step:
    """One block's sending."""

    lane: Lane
    head: Header
    fees: Fees
    slots: Slots
    report: LaneReport

    async def run(self, bids: Sequence[Bid]) -> None:
        """See to the open transactions, then send what is new."""
        for row in self.slots.open():
            await self._keep(row, bids)
        for bid in bids:
            if bid.targets and self.slots.covered().isdisjoint(bid.targets):
                if len(self.slots.open()) >= self.lane.policy.most_open:
                    self._leave(bid, f"{self.lane.policy.most_open} transactions wait already")
                else:
                    await self._send(bid, self.slots.next_nonce())
        await self._fill_hole(bids)

    async def _keep(self, row: Row, bids: Sequence[Bid]) -> None:
        """Replace a transaction that is stuck, or give it to nodes again that forgot it."""
        patience = self.lane.policy.patience
        wanted = self._is_wanted(row, bids)
        stuck = self.slots.is_stuck(row, self.head, self.fees, patience)
        unknown = self._is_unknown(row)
        if stuck and wanted and await self._send(_successor(row, bids, self.slots), row.nonce):
            return
        if not wanted and (stuck or unknown) and await self._reuse(row, bids):
            return
        # One that nobody wants would only cost gas, but those behind it wait for its nonce.
        if unknown and (wanted or row.nonce < self.slots.open()[-1].nonce):
            await self._resend(row)

    async def _fill_hole(self, bids: Sequence[Bid]) -> None:
        """Send the last call once more with a nonce that nothing uses and those above wait for.

        So it is when nodes drop somebody else's transaction with this key. The call then reverts
        where it was, unless another bid takes that nonce.
        """
        hole, patience = self.slots.next_nonce(), self.lane.policy.patience
        above = [row for row in self.slots.open() if row.nonce > hole]
        late = [row for row in above if self.head.number - row.block >= patience]
        for row in reversed(late):
            if self._is_wanted(row, bids):
                await self._send(_successor(row, bids, self.slots), hole)
                return

    def _is_wanted(self, row: Row, bids: Sequence[Bid]) -> bool:
        """Return whether a bid wants a target of a transaction that none before it is for."""
        targets = {*row.targets}
        for lower in self.slots.open():
            if lower.nonce < row.nonce:
                targets.difference_update(lower.targets)
        return any(not targets.isdisjoint(bid.targets) for bid in bids)

    def _is_unknown(self, row: Row) -> bool:
        """Return whether nodes had forgotten a transaction, and were not given it since."""
        given = [*self.report.resent, *[sent.hash for sent in self.report.sent]]
        return row.hash not in self.slots.chain.known and row.hash not in given

    async def _reuse(self, row: Row, bids: Sequence[Bid]) -> bool:
        """Send a bid that waits with the nonce of a transaction that nobody wants any more."""
        covered = self.slots.covered()
        for bid in bids:
            if covered.isdisjoint(bid.targets) and await self._send(bid, row.nonce):
                return True
        return False

    async def _resend(self, row: Row) -> None:
        """Give nodes the same bytes again."""
        if self.lane.policy.dry_run:
            return
        answer = await broadcast(row.raw, self._nodes(row.nonce))
        self.report.resent.append(row.hash)
        await self._settle(replace(row, state=State.SENT, error=answer.error))
        self._heed(answer.verdict, row.nonce)

    async def _send(self, bid: Bid, nonce: int) -> bool:
        """Sign, write down and send a bid; return whether its nonce is now taken for it."""
        row, reason = self._draft(bid, nonce)
        if row is None:
            self._leave(bid, reason)
            return False
        before = self.slots.live(nonce)
        if not self.lane.policy.dry_run:
            try:
                row = await self._sign(row, bid)
            except PolicyError as error:
                self._leave(bid, str(error))
                return False
            await aside(self.lane.ledger.record, row, self.lane.guard)
        self.slots.add(row)
        if not self.lane.policy.dry_run and not await self._broadcast(row, before):
            return False
        replaced = None if before is None else before.hash
        sent = Sent(nonce, row.hash, row.targets, row.max_fee, row.tip, replaced)
        self.report.sent.append(sent)
        return True

    def _draft(self, bid: Bid, nonce: int) -> tuple[Row | None, str]:
        """Return a bid's transaction, not signed yet, or why there is none."""
        if (refused := self.slots.was_refused(nonce, bid, self.head)) is not None:
            return None, refused
        limit = min(bid.max_price, self.lane.signing.max_fee)
        floors = self.slots.floors(nonce)
        fees = self.fees if bid.tip is None else replace(self.fees, tip=bid.tip)
        price = offer(fees, limit, floors)
        if price is None:
            behind = (
                f", an eighth over {_gwei(max(floors)[0])} to replace another" if floors else ""
            )
            return None, (
                f"a unit of gas costs {_gwei(self.fees.price)} gwei{behind} "
                f"(limit {_gwei(limit)}); it waits until gas is cheaper or it is worth more"
            )
        max_fee, tip = price
        if bid.tip is not None and tip > bid.tip:
            return None, f"a tip of {_gwei(tip)} gwei would put it before what it has to follow"
        needed = self.slots.committed(nonce) + bid.gas * max_fee
        if needed > self.slots.chain.balance:
            return None, (
                f"the account holds {self.slots.chain.balance:,} wei and all that waits may cost "
                f"{needed:,}; send it more"
            )
        row = Row(
            nonce=nonce,
            attempt=self.slots.next_attempt(nonce),
            hash=b"",
            raw=b"",
            gas=bid.gas,
            max_fee=max_fee,
            tip=tip,
            worth=bid.worth,
            targets=bid.targets,
            block=self.head.number,
            timestamp=self.head.timestamp,
            state=State.SIGNED,
        )
        return row, ""

    async def _sign(self, row: Row, bid: Bid) -> Row:
        """Return the row with its bytes; raise PolicyError."""
        signing = self.lane.signing
        fields = {
            "type": 2,
            "chainId": signing.chain_id,
            "from": checksum(signing.account),
            "to": checksum(bid.to),
            "data": bid.data,
            "value": 0,
            "nonce": row.nonce,
            "gas": row.gas,
            "maxFeePerGas": row.max_fee,
            "maxPriorityFeePerGas": row.tip,
        }
        day = self.head.timestamp - DAY
        signing.check(fields, await aside(self.lane.ledger.spent, day, row.nonce))
        raw = await aside(_signed, self.lane.signer, fields)
        return replace(row, raw=raw, hash=keccak(raw))

    async def _broadcast(self, row: Row, before: Row | None) -> bool:
        """Send what was written down; return whether it may be on its way."""
        for lower in self.slots.open():
            if lower.nonce < row.nonce and self._is_unknown(lower):
                await self._resend(lower)
        answer = await broadcast(row.raw, self._nodes(row.nonce))
        if answer.verdict in (Verdict.UNDERPRICED, Verdict.REFUSED):
            # No node has it: its nonce is the last one's again, or free.
            dropped = replace(
                row, state=State.DROPPED, settled=self.head.number, error=answer.error
            )
            await self._settle(dropped, *([] if before is None else [before]))
            self.report.left.append(Left(row.targets, str(answer.error)))
            return False
        await self._settle(replace(row, state=State.SENT, error=answer.error))
        self._heed(answer.verdict, row.nonce)
        return True

    def _heed(self, verdict: Verdict, nonce: int) -> None:
        if verdict is Verdict.STALE:
            raise _StopError(
                f"nonce {nonce} has been used since block {self.head.number}; the next block tells "
                "by what"
            )

    async def _settle(self, *rows: Row) -> None:
        await aside(self.lane.ledger.settle, rows, self.lane.guard)
        for row in rows:
            self.slots.put(row)

    def _leave(self, bid: Bid, reason: str) -> None:
        self.report.left.append(Left(bid.targets, reason))

    def _nodes(self, nonce: int) -> Sequence[Rpc]:
        """Return who gets a transaction with this nonce."""
        lane, first = self.lane, self.slots.attempts[nonce][0].block
        after = lane.policy.public_after
        public = after is not None and self.head.number - first >= after
        return [*lane.submit, lane.rpc] if public or not lane.submit else lane.submit


def _gwei(wei: int) -> str:
    return f"{Decimal(wei).scaleb(-9).normalize():,f}"


def _successor(row: Row, bids: Sequence[Bid], slots: Slots) -> Bid:
    """Return what to replace a transaction with: today's bid for its targets, or its own call."""
    elsewhere = slots.covered(besides=row.nonce)
    for bid in bids:
        if not set(row.targets).isdisjoint(bid.targets) and elsewhere.isdisjoint(bid.targets):
            return bid
    to, data = call_of(row.raw)
    return Bid(to, data, row.gas, row.worth, row.targets)


def _signed(signer: Signer, fields: Mapping[str, Any]) -> bytes:
    """Return the signed bytes; raise PolicyError when the signer gives none, or others."""
    try:
        raw = bytes(signer(fields))
    except Exception as error:
        raise PolicyError(
            f"the signer failed: {error}; check that the account is unlocked"
        ) from error
    check_signed(raw, fields)
    return raw

"""What the chain has made of the lane's transactions: from a node's answers, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ringfence.client.abi import interface
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.asking import at, hexed
from ringfence.keeper.act.bid import Target
from ringfence.keeper.act.ledger import OPEN, Outcome, Row, State
from ringfence.keeper.chain.wire import Header, WireError, quantity, unhex

_LIQUIDATED = interface("Liquidator").topic("FlashLiquidated")
_SKIPPED = interface("Liquidator").topic("LiquidationSkipped")
_LOST = (State.FOREIGN, State.DROPPED)
_WAITING = 10_000
"""More transactions than may wait of one account."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What a node says of an account. `mined` and `pending` count its transactions.

    `balance` in wei; `receipts` of those that are mined, by hash; `known` are the hashes that the
    node has heard of, each with its block's, None while it waits. Of what was written down as mined
    in that very block no receipt is there.
    """

    mined: int
    pending: int
    balance: int
    receipts: Mapping[bytes, Json]
    known: Mapping[bytes, bytes | None]


def questions(account: bytes, head: Header, rows: Sequence[Row]) -> list[Request]:
    """Return the requests whose answers `read_answers` takes: one batch, counts at the head.

    Receipts are asked for of those whose end is not known: they are long, and what is known changes
    only where a reorganisation has moved it to another block.
    """
    address, at_head = hexed(account), at(head.hash)
    asked: list[Request] = [
        ("eth_getTransactionCount", [address, at_head]),
        ("eth_getTransactionCount", [address, "pending"]),
        ("eth_getBalance", [address, "latest"]),
    ]
    asked += [("eth_getTransactionByHash", [hexed(row.hash)]) for row in rows]
    return asked + receipts_of(row for row in rows if row.outcome is None)


def receipts_of(rows: Iterable[Row]) -> list[Request]:
    """Return the requests for the receipts of transactions."""
    return [("eth_getTransactionReceipt", [hexed(row.hash)]) for row in rows]


def moved(rows: Iterable[Row], chain: Chain) -> list[Row]:
    """Return the rows that are in another block than they were written down in."""
    return [
        row
        for row in rows
        if row.outcome and chain.known.get(row.hash) not in (None, row.outcome.block_hash)
    ]


def read_answers(rows: Sequence[Row], answers: Sequence[Json | RpcError]) -> Chain:
    """Return what the answers say; raise WireError when one is missing or cannot be read."""
    _refuse_errors(answers)
    mined: Json
    pending: Json
    balance: Json
    mined, pending, balance, *rest = answers
    receipts = read_receipts([row for row in rows if row.outcome is None], rest[len(rows) :])
    try:
        known = {row.hash: _block_of(one) for row, one in zip(rows, rest, strict=False) if one}
        counts = quantity(mined), quantity(pending)
        if counts[1] - counts[0] > _WAITING:
            raise ValueError(f"{counts[1]} transactions with those that wait, {counts[0]} without")
        return Chain(*counts, quantity(balance, 256), receipts, known)
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"the node sent a count that cannot be read: {error!r}") from error


def read_receipts(rows: Sequence[Row], answers: Sequence[Json | RpcError]) -> dict[bytes, Json]:
    """Return the receipts that there are, by transaction.

    Raises WireError when one is missing, or is another transaction's. What else it says is the
    node's word.
    """
    _refuse_errors(answers)
    receipts: dict[bytes, Json] = {
        row.hash: one for row, one in zip(rows, answers, strict=True) if one
    }
    for asked, receipt in receipts.items():
        try:
            found = unhex(receipt["transactionHash"], 32)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WireError(f"the node sent a receipt that cannot be read: {error!r}") from error
        if found != asked:
            raise WireError(f"the node sent the receipt of 0x{found.hex()} for 0x{asked.hex()}")
    return receipts


def _refuse_errors(answers: Iterable[Json | RpcError]) -> None:
    for answer in answers:
        if isinstance(answer, RpcError):
            raise WireError(f"the node cannot say what became of the transactions: {answer}")


def _block_of(transaction: Json) -> bytes | None:
    """Return the hash of a transaction's block, None while it waits."""
    text = transaction["blockHash"]
    return None if text is None else unhex(text, 32)


def by_nonce(rows: Sequence[Row]) -> dict[int, list[Row]]:
    """Return the rows of each nonce, in the order of their attempts."""
    return {nonce: [*some] for nonce, some in groupby(rows, lambda row: row.nonce)}


def settled(rows: Sequence[Row], chain: Chain, head: Header, liquidator: bytes) -> list[Row]:
    """Return the rows whose fate is not what it was written down as; raise WireError."""
    after = [
        one
        for attempts in by_nonce(rows).values()
        for one in _settle(attempts, chain, head, liquidator)
    ]
    return [now for now, before in zip(after, rows, strict=True) if now != before]


def _settle(attempts: list[Row], chain: Chain, head: Header, liquidator: bytes) -> list[Row]:
    """Return what has become of one nonce's transactions."""
    outcomes = [
        (row.hash, *end) for row in attempts if (end := _end_of(row, chain, liquidator)) is not None
    ]
    if outcomes:
        winner, success, outcome = outcomes[-1]
        fate = State.MINED if success else State.FAILED
        return [
            replace(row, state=fate, settled=outcome.block, outcome=outcome, error=None)
            if row.hash == winner
            else replace(
                row, state=_beaten(row, State.REPLACED), settled=outcome.block, outcome=None
            )
            for row in attempts
        ]
    nonce = attempts[0].nonce
    if chain.mined > nonce:
        # The block that a lost nonce was noticed in stays the same from then on.
        return [
            replace(row, state=_beaten(row, State.FOREIGN), settled=noticed, outcome=None)
            for row in attempts
            for noticed in [row.settled if row.state in _LOST and row.settled else head.number]
        ]
    return _reopen(attempts, chain)


def _end_of(row: Row, chain: Chain, liquidator: bytes) -> tuple[bool, Outcome] | None:
    """Return whether a transaction succeeded and what it did, None where it is in no block.

    Where it is in another block by now and its receipt is not to be had, what is known stands: the
    next step asks again.
    """
    if row.hash in chain.receipts:
        return outcome_of(chain.receipts[row.hash], liquidator)
    if row.outcome is not None and chain.known.get(row.hash) is not None:
        return row.state is State.MINED, row.outcome
    return None


def _beaten(row: Row, how: State) -> State:
    return State.DROPPED if row.state is State.DROPPED else how


def _reopen(attempts: list[Row], chain: Chain) -> list[Row]:
    """Return a nonce's transactions when it has not been used: the last one not refused is open."""
    live = [row for row in attempts if row.state is not State.DROPPED or row.hash in chain.known]
    states = dict.fromkeys([row.attempt for row in live], State.REPLACED)
    for row in live[-1:]:
        sent = row.state not in OPEN or row.hash in chain.known
        states[row.attempt] = State.SENT if sent else row.state
    return [
        replace(row, state=states[row.attempt], settled=None, outcome=None)
        if row.attempt in states
        else row
        for row in attempts
    ]


# Receipts


def outcome_of(receipt: Json, liquidator: bytes) -> tuple[bool, Outcome]:
    """Return whether a transaction succeeded, and what it did; raise WireError."""
    try:
        gas = quantity(receipt["gasUsed"]) * quantity(receipt["effectiveGasPrice"], 128)
        # What a rollup takes for the layer below.
        cost = gas + quantity(receipt.get("l1Fee") or "0x0", 128)
        ours = [log for log in receipt["logs"] if unhex(log["address"], 20) == liquidator]
        profits, skipped = _ends(ours)
        block, block_hash = quantity(receipt["blockNumber"]), unhex(receipt["blockHash"], 32)
        return int(receipt["status"], 16) == 1, Outcome(block, block_hash, cost, profits, skipped)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise WireError(f"the node sent a receipt that cannot be read: {error!r}") from error


def _ends(
    logs: Sequence[Json],
) -> tuple[tuple[tuple[Target, int], ...], tuple[tuple[Target, str], ...]]:
    """Return each target's profit, and the reason of each that was skipped."""
    profits: list[tuple[Target, int]] = []
    skipped: list[tuple[Target, str]] = []
    for log in logs:
        topics = tuple(unhex(topic, 32) for topic in log["topics"])
        data = bytes.fromhex(log["data"][2:])
        if topics[0] == _LIQUIDATED:
            profits.append((_target(topics), int.from_bytes(data[64:96], signed=True)))
        elif topics[0] == _SKIPPED:
            skipped.append((_target(topics), _reason(data)))
    return tuple(profits), tuple(skipped)


def _target(topics: Sequence[bytes]) -> Target:
    return topics[1][12:], int.from_bytes(topics[2])


def _reason(data: bytes) -> str:
    """Return the text of a `LiquidationSkipped`: a vault's own bytes, which need not be text."""
    size = min(int.from_bytes(data[64:96]), 32)
    words = data[96 : 96 + size].rstrip(b"\0").decode(errors="replace")
    return "".join(one if one.isprintable() else "\ufffd" for one in words)

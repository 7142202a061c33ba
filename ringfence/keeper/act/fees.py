"""What a unit of gas costs: read from a node, offered in a new transaction, raised in the next."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.chain.wire import Header, Rpc

FALLBACK_TIP = 10**9
"""The tip when a node tells none, wei."""

_BLOCKS = 5
_UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError)


def fee_questions(number: int) -> list[Request]:
    """Return the requests whose answers `fees_of` takes, for a head of this number."""
    history = "eth_feeHistory", [hex(_BLOCKS), hex(number), [50]]
    return [history, ("eth_maxPriorityFeePerGas", [])]


def fees_of(answers: Sequence[Json | RpcError], head: Header) -> Fees:
    """Return the base fee of the block after the head, and the median tip of the last ones, wei.

    Without a history of this very head: the most that the base fee can rise to, and the tip that
    the node proposes, or FALLBACK_TIP.
    """
    history, proposed = answers
    base, tip = _read_history(history, head) or (-(-head.base_fee * 9 // 8), 0)
    return Fees(base, tip or _read_tip(proposed))


async def read_fees(rpc: Rpc, head: Header) -> Fees:
    """Return what `fees_of` makes of a node's answers."""
    return fees_of(await rpc.batch(fee_questions(head.number)), head)


def _read_history(history: Json, head: Header) -> tuple[int, int] | None:
    try:
        bases = [int(one, 16) for one in history["baseFeePerGas"]]
        if int(history["oldestBlock"], 16) + len(bases) - 2 != head.number:
            return None
        if bases[-2] != head.base_fee or min(bases) < 0:
            return None
        tips = [
            int(reward[0], 16)
            for reward, used in zip(history["reward"], history["gasUsedRatio"], strict=True)
            if used
        ]
    except _UNREADABLE:
        return None
    return bases[-1], max(0, median_low(tips)) if tips else 0


def _read_tip(proposed: Json) -> int:
    try:
        return max(0, int(proposed, 16))
    except _UNREADABLE:
        return FALLBACK_TIP


def offer(fees: Fees, limit: int, floors: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the max fee and the tip of a transaction, wei a unit; None when `limit` is too low.

    `floors` are those of the transactions that it has to outbid, each by an eighth, where nodes ask
    a tenth. Twice the base fee leaves room for six full blocks.

    >>> offer(Fees(100, 3), 10_000, [])
    (203, 3)
    >>> offer(Fees(100, 3), 10_000, [(203, 3)])
    (229, 4)
    >>> offer(Fees(100, 3), 228, [(203, 3)])
    """
    least = max([fees.price, *(raised(max_fee) for max_fee, _tip in floors)])
    tip = max([fees.tip, *(raised(tip) for _max_fee, tip in floors)])
    if max(least, tip) > limit:
        return None
    return min(limit, max(least, 2 * fees.base + tip)), tip


def raised(price: int) -> int:
    """Return the least price that outbids another, wei: an eighth more, rounded up."""
    return max(price + 1, -(-price * 9 // 8))

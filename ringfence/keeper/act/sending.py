"""Giving a signed transaction to nodes, and what their answers mean for its nonce."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from ringfence.evm.rpc import Json, RpcError
from ringfence.keeper.chain.wire import Rpc


class Verdict(StrEnum):
    """What became of a sending, the best of several nodes' answers first."""

    ACCEPTED = "accepted"
    UNSURE = "unsure"  # no answer, or one that we do not know: it may have been sent
    STALE = "nonce too low"
    UNDERPRICED = "underpriced"
    REFUSED = "refused"


_WORDS = {
    Verdict.ACCEPTED: ("already known", "already imported", "known transaction", "alreadyknown"),
    Verdict.STALE: ("nonce too low", "nonce is too low", "oldnonce"),
    Verdict.UNDERPRICED: ("underpriced", "replacement fee too low", "feetoolow", "fee too low"),
    Verdict.REFUSED: (
        "insufficient funds",
        "insufficient balance",
        "intrinsic gas",
        "block gas limit",
        "max fee per gas less than",
        "max priority fee per gas higher than",
        "exceeds the configured cap",
        "invalid sender",
        "invalid chain",
        "oversized",
        "pool is full",
        "nonce too high",
    ),
}
"""Only these words free a nonce again; they are those of geth, Nethermind, Reth and anvil."""

_TOLD = 200


class Answer(NamedTuple):
    """A verdict, and the node's words where there are any."""

    verdict: Verdict
    words: str

    @property
    def error(self) -> str | None:
        """What the ledger keeps of it."""
        told = f"{self.verdict}: {self.words}"
        return None if self.verdict is Verdict.ACCEPTED else told


async def broadcast(raw: bytes, nodes: Sequence[Rpc]) -> Answer:
    """Give a transaction to all of the nodes at once; return the best answer."""
    request = [("eth_sendRawTransaction", ["0x" + raw.hex()])]
    batches = await asyncio.gather(*[node.batch(request) for node in nodes])
    order = [*Verdict]
    return min([judge(batch[0]) for batch in batches], key=lambda one: order.index(one.verdict))


def judge(answer: Json | RpcError) -> Answer:
    """Return what a node's answer to eth_sendRawTransaction means.

    >>> judge(RpcError("eth_sendRawTransaction", "replacement transaction underpriced", None))[0]
    <Verdict.UNDERPRICED: 'underpriced'>
    >>> judge(RpcError("eth_sendRawTransaction", "no answer: TimeoutError", None))[0]
    <Verdict.UNSURE: 'unsure'>
    """
    if not isinstance(answer, RpcError):
        return Answer(Verdict.ACCEPTED, "")
    words = answer.message[:_TOLD]
    for verdict, known in _WORDS.items():
        if any(word in words.lower() for word in known):
            return Answer(verdict, words)
    return Answer(Verdict.UNSURE, words)

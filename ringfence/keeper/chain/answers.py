"""What answers say of the nodes that gave them, and which answers are not believed alone."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.wire import LogEntry, NoAnswerError, WireError, parse_logs

_LIMITED = re.compile(
    r"rate.?limit|too many requests|request limit|(?<!gas )limit exceeded|compute units|capacity"
    r"|\b429\b",
    re.IGNORECASE,
)
_LAGGING = re.compile(
    r"(header|block|resource)( for hash)? not found|unknown block|could not find block"
    r"|missing trie node|block ?out ?of ?range",
    re.IGNORECASE,
)
_HEADERS = ("eth_getBlockByHash", "eth_getBlockByNumber")
_FIXED = ("eth_getLogs", *_HEADERS)
"""Methods whose answer another time is the same: who asks again was not content with it."""


def question_of(request: Request) -> str:
    """Return what tells a request whose answer stays the same from others; "" for those."""
    method, params = request
    moving = method == "eth_getBlockByNumber" and not str(params[0]).startswith("0x")
    return json.dumps(request) if method in _FIXED and not moving else ""


def is_range(request: Request) -> bool:
    """Return whether the request is for the logs of a range of blocks."""
    method, params = request
    return method == "eth_getLogs" and "fromBlock" in params[0]


def logs_of(answers: Sequence[Json | RpcError]) -> list[LogEntry] | None:
    """Return the logs that the first answer has, None if it or another cannot be used."""
    if any(isinstance(answer, RpcError) for answer in answers):
        return None
    try:
        return parse_logs(answers[0])
    except WireError:
        return None


def no_answers(requests: Sequence[Request], told: str) -> list[Json | RpcError]:
    """Return the same error for each request."""
    return [NoAnswerError(method, told, None) for method, _ in requests]


def is_no_answer(answer: Json | RpcError) -> bool:
    """Return whether the node gave none, or said that it is asked too much."""
    if not isinstance(answer, RpcError):
        return False
    return isinstance(answer, NoAnswerError) or _says(_LIMITED, answer)


def is_behind(method: str, answer: Json | RpcError) -> bool:
    """Return whether the answer is one of a node that does not have the block."""
    if isinstance(answer, RpcError):
        return not is_no_answer(answer) and _says(_LAGGING, answer)
    return answer is None and method in _HEADERS


def _says(words: re.Pattern[str], error: RpcError) -> bool:
    """Return whether a node says so: what a contract reverts with is no word of a node's."""
    return "revert" not in error.message.lower() and words.search(error.message) is not None

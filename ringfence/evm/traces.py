"""What a node says of a transaction: receipt, call trace and prestate trace, as evidence."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from typing_extensions import override

from ringfence.evm.abi import checksum
from ringfence.evm.decoding import decode_revert
from ringfence.evm.engine import Branch, CallMade, Evidence, Log, StateDiff
from ringfence.evm.errors import UnsupportedError, halt_reason
from ringfence.evm.rpc import Json


def unhex(text: str) -> bytes:
    """Return bytes that a node wrote as 0x and hex digits."""
    return bytes.fromhex(text.removeprefix("0x"))


def quantity(value: Json) -> int:
    """Return a number; nodes write some as hex and some, of late, as numbers."""
    return int(value, 16) if isinstance(value, str) else int(value)


class NodeFacts(Evidence):
    """What the node said of a transaction right after it; a restore would make it forget."""

    __slots__ = ("_call", "_changes", "_diff", "_receipt", "_steps")

    def __init__(self, receipt: Json, call: Json, changes: Json, steps: Json = None) -> None:
        self._receipt = receipt
        self._call = call
        self._changes = changes
        self._steps = steps
        self._diff: StateDiff | None = None

    @override
    def gas_used(self) -> int:
        return quantity(self._receipt["gasUsed"])

    @override
    def output(self) -> bytes:
        return unhex(self._call.get("output", "0x"))

    def reason(self) -> str:
        """Return why the transaction failed."""
        fault = str(self._call.get("error", ""))
        if fault and fault != "execution reverted":
            return halt_reason(fault)
        return decode_revert(self.output())

    @override
    def logs(self) -> tuple[Log, ...]:
        return tuple(
            Log(
                checksum(unhex(log["address"])),
                tuple(unhex(topic) for topic in log["topics"]),
                unhex(log["data"]),
            )
            for log in self._receipt["logs"]
        )

    @override
    def state_diff(self) -> StateDiff:
        if self._diff is None:
            self._diff = state_diff(self._changes)
        return self._diff

    @override
    def calls(self) -> tuple[CallMade, ...]:
        return tuple(calls(self._call))

    @override
    def branches(self) -> tuple[Branch, ...]:
        if self._steps is None:
            raise UnsupportedError("the node kept no steps; start it with `launch(steps=True)`")
        return tuple(branches(self._call, self._steps["structLogs"]))


def calls(trace: Json) -> Iterator[CallMade]:
    """Walk a call trace: the calls that took effect, each before those that it made."""
    if "error" in trace:
        return
    if trace["type"] in ("CALL", "CREATE", "CREATE2"):
        yield CallMade(
            checksum(unhex(trace["from"])),
            checksum(unhex(trace["to"])),
            unhex(trace["input"]),
            trace["type"] != "CALL",
        )
    for child in trace.get("calls", []):
        yield from calls(child)


_CALLS = frozenset(("CALL", "CALLCODE", "DELEGATECALL", "STATICCALL", "CREATE", "CREATE2"))


def branches(call: Json, steps: Json) -> Iterator[Branch]:
    """Walk a transaction's steps for the conditional jumps of the called contract.

    A step tells how deep it lies, the call trace which contract runs there: the next call among
    the steps is the next one of the trace, whether it finds code to run or not.
    """
    target = call["to"]
    frames = [(True, iter(call.get("calls", ())))]
    for step, after in pairwise(steps):
        depth, op = step["depth"], step["op"]
        if op == "JUMPI" and after["depth"] == depth and frames[depth - 1][0]:
            yield step["pc"], after["pc"] != step["pc"] + 1
        elif op in _CALLS and after["depth"] >= depth:
            del frames[depth:]
            made = next(frames[-1][1])
            # A creation that failed has no address.
            runs_as = made.get("from" if made["type"] in ("DELEGATECALL", "CALLCODE") else "to")
            frames.append((runs_as == target, iter(made.get("calls", ()))))


def state_diff(trace: Json) -> StateDiff:
    """Read a prestate trace in diff mode, which leaves out the words that were or are zero."""
    diff: StateDiff = {}
    for address in trace["pre"].keys() | trace["post"].keys():
        before = trace["pre"].get(address, {}).get("storage", {})
        after = trace["post"].get(address, {}).get("storage", {})
        words = {
            int(slot, 16): (int(before.get(slot, "0x0"), 16), int(after.get(slot, "0x0"), 16))
            for slot in before.keys() | after.keys()
        }
        changed = {slot: pair for slot, pair in words.items() if pair[0] != pair[1]}
        if changed:
            diff[checksum(unhex(address))] = changed
    return diff

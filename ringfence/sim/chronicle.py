"""What the chain remembers of a run: events, the feed's rounds, storage, traces. Reads only.

Nothing that the run itself kept is used: whoever has the node and the addresses finds the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from eth_utils.crypto import keccak

from ringfence.evm import Contract, Event, Log, StateDiff, load
from ringfence.evm.abi import checksum
from ringfence.evm.rpc import Json, JsonRpc, RpcError
from ringfence.evm.traces import state_diff
from ringfence.math import balance_sheet
from ringfence.math.balance_sheet import BalanceSheet

_BATCH = 400


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with its place on the chain; `time` in unix seconds."""

    block: int
    index: int
    time: int
    tx_hash: str
    event: Event


@dataclass(frozen=True, slots=True)
class Prices:
    """A pair of feeds' answers over time, WETH's and USDC's, in the feeds' units."""

    ether: tuple[tuple[int, int], ...]
    dollar: tuple[tuple[int, int], ...]

    def answers(self, time: int) -> tuple[int, int]:
        """Return both feeds' answers at a time, unix seconds."""
        return _last(self.ether, time), _last(self.dollar, time)

    def at(self, time: int) -> Fraction:
        """Return USDC per WETH at a time."""
        return Fraction(*self.answers(time))


def _last(rounds: Sequence[tuple[int, int]], time: int) -> int:
    return rounds[bisect_right(rounds, time, key=lambda one: one[0]) - 1][1]


def _chunks(items: Sequence[tuple[str, list[Json]]]) -> Iterator[list[tuple[str, list[Json]]]]:
    for start in range(0, len(items), _BATCH):
        yield list(items[start : start + _BATCH])


@dataclass(frozen=True, slots=True)
class Chronicle:
    """A node, asked about its past in batches."""

    rpc: JsonRpc

    def ask(self, requests: Iterable[tuple[str, list[Json]]]) -> list[Json]:
        """Return each request's result; raise RpcError for the first that failed."""
        answers = [one for chunk in _chunks([*requests]) for one in self.rpc.batch(chunk)]
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    def events(self, contracts: Sequence[Contract]) -> list[Entry]:
        """Return every event that the contracts ever emitted, in the chain's order."""
        by_address = {contract.address: contract for contract in contracts}
        logs = self.logs([*by_address])
        blocks = sorted({int(log["blockNumber"], 16) for log in logs})
        headers = self.ask(("eth_getBlockByNumber", [hex(block), False]) for block in blocks)
        times = {
            block: int(one["timestamp"], 16) for block, one in zip(blocks, headers, strict=True)
        }
        entries = []
        for log in logs:
            address = checksum(bytes.fromhex(log["address"][2:]))
            block = int(log["blockNumber"], 16)
            event = by_address[address].decode_log(
                Log(
                    address,
                    tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
                    bytes.fromhex(log["data"][2:]),
                )
            )
            index = int(log["logIndex"], 16)
            entries.append(Entry(block, index, times[block], log["transactionHash"], event))
        return sorted(entries, key=lambda entry: (entry.block, entry.index))

    def logs(self, addresses: Sequence[str]) -> list[Json]:
        """Return every log of these addresses as the node has it."""
        where = {"address": list(addresses), "fromBlock": "0x0", "toBlock": "latest"}
        return list(self.rpc.call("eth_getLogs", where))

    def prices(self, ether_feed: Contract, dollar_feed: Contract) -> Prices:
        """Return the feeds' rounds."""
        return Prices(*(self._rounds(feed) for feed in (ether_feed, dollar_feed)))

    def _rounds(self, feed: Contract) -> tuple[tuple[int, int], ...]:
        numbers = range(1, int(feed.latestRound()) + 1)
        times = self.views((feed, "getTimestamp", (number,)) for number in numbers)
        answers = self.views((feed, "getAnswer", (number,)) for number in numbers)
        return tuple(zip(times, answers, strict=True))

    def views(self, calls: Iterable[tuple[Contract, str, tuple[Json, ...]]]) -> list[int]:
        """Return the one word that each view answers now."""
        requests: list[tuple[str, list[Json]]] = []
        for contract, name, arguments in calls:
            data = getattr(contract, name).encode(*arguments)
            call = {"to": contract.address, "data": "0x" + data.hex()}
            requests.append(("eth_call", [call, "latest"]))
        return [int(answer, 16) for answer in self.ask(requests)]

    def words(self, address: str, slots: Sequence[int], block: int | None = None) -> list[int]:
        """Return storage words as of the end of a block, the latest unless given."""
        tag = "latest" if block is None else hex(block)
        asked = [("eth_getStorageAt", [address, hex(slot), tag]) for slot in slots]
        return [int(word, 16) for word in self.ask(asked)]

    def state_diffs(self, tx_hashes: Sequence[str]) -> Mapping[str, StateDiff]:
        """Return every storage word that each transaction changed, from the node's own trace."""
        tracer = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
        traces = self.ask(("debug_traceTransaction", [one, tracer]) for one in tx_hashes)
        return {one: state_diff(trace) for one, trace in zip(tx_hashes, traces, strict=True)}

    def receipts(self, tx_hashes: Sequence[str]) -> Mapping[str, Json]:
        """Return the transactions' receipts."""
        found = self.ask(("eth_getTransactionReceipt", [one]) for one in tx_hashes)
        return dict(zip(tx_hashes, found, strict=True))

    def last_block(self) -> int:
        """Return the number of the latest block."""
        return int(self.rpc.call("eth_blockNumber"), 16)

    def transaction_count(self) -> int:
        """Return how many transactions there were."""
        last = self.last_block()
        counted = self.ask(
            ("eth_getBlockTransactionCountByNumber", [hex(block)]) for block in range(last + 1)
        )
        return sum(int(one, 16) for one in counted)


# Where a vault keeps its words


def books_slots() -> tuple[int, int]:
    """Return the storage slots of a vault's two words of books."""
    vault = load("MarginVault")
    return vault.slot("balance_sheet", "_word_1"), vault.slot("balance_sheet", "_word_2")


def position_slot_of(position_id: int) -> int:
    """Return the storage slot of a position's word."""
    base = load("MarginVault").slot("position_slot", "_words")
    return int.from_bytes(keccak(base.to_bytes(32, "big") + position_id.to_bytes(32, "big")), "big")


def read_books(chronicle: Chronicle, vault: str, block: int | None = None) -> BalanceSheet:
    """Return a vault's books from its storage."""
    return balance_sheet.unpack(*chronicle.words(vault, books_slots(), block))

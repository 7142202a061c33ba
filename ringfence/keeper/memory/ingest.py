"""Brings the store to a head of the chain: forward, and back where the chain was reorganised."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from ringfence.errors import RingfenceError
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.wire import Header, LogEntry, Riders, Rpc, WireError, parse_logs
from ringfence.keeper.memory.aside import aside
from ringfence.keeper.memory.events import (
    CREATED_TOPIC,
    SLOT_TOPICS,
    Changes,
    EventError,
    SlotWritten,
    Vault,
    decode,
)
from ringfence.keeper.memory.store import Store

_ATTEMPTS = 3
_FIRST_SPAN, _LARGEST_SPAN = 1_000, 10_000
"""Blocks that are asked for at once."""
_MANY_LOGS = 10_000
"""Logs in an answer at which the next one is asked to be smaller."""

_BAD_ANSWER = (RpcError, WireError, EventError)
_T = TypeVar("_T")

Wanted: TypeAlias = Mapping[bytes, Sequence[bytes]]
"""Address -> first topics: the logs that are asked for."""
Fetch: TypeAlias = Callable[[Wanted], Awaitable[list[LogEntry]]]


class IngestError(RingfenceError):
    """The chain could not be read, or has left the store behind; the store is as it was."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A block whose bloom filter names a log that is not among these."""

    header: Header
    request: Request
    wanted: Wanted
    logs: Sequence[LogEntry]


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _logs_request(wanted: Wanted, where: Mapping[str, str]) -> Request:
    topics = sorted({topic for topics in wanted.values() for topic in topics})
    return "eth_getLogs", [
        {"address": [*map(_hex, wanted)], "topics": [[*map(_hex, topics)]], **where}
    ]


class Ingest:
    """Reads one deployment's chain into its store.

    Blocks deeper than the store's window count as final and are read by ranges, the others one by
    one, each by its hash. Where a block's bloom filter names a log that is not there, its logs are
    asked for again along with the next block's; `false_alarms` counts those that lacked then too.
    """

    def __init__(self, rpc: Rpc, store: Store) -> None:
        self._rpc = rpc
        self._store = store
        self._span = _FIRST_SPAN
        self._doubts: list[_Doubt] = []
        self._known: dict[tuple[bytes, frozenset[bytes]], list[LogEntry]] = {}
        self.false_alarms = 0

    async def advance(self, head: Header, riders: Riders | None = None) -> AsyncIterator[Changes]:
        """Bring the store to `head`; yield what each step changed, once it is in the store.

        A head that the store has passed is one of a node that lags: nothing is undone for it.
        `riders` ride in the batch of the head's logs, if those are asked for and come at once.
        Raises IngestError; what was yielded before stands, and the next call goes on from there.
        """
        cursor, lowest, known, below = await aside(self._stand, head)
        if cursor is None:
            await self._begin(head)
            cursor, lowest, known, below = await aside(self._stand, head)
        if cursor is None or lowest is None or head.number < lowest or known == head.hash:
            return
        final = head.number - self._store.window
        if cursor < final:
            ancestor = await self._ancestor(cursor, lowest)
            if ancestor < cursor:
                yield await aside(self._store.undo_to, ancestor)
            async for changes in self._read_ranges(ancestor, final):
                yield changes
            cursor = final
        path = [head] if below == head.parent_hash else await self._path(head)
        async for changes in self._read_path(path, cursor, riders or Riders(())):
            yield changes

    async def _read_path(
        self, path: Sequence[Header], cursor: int, riders: Riders
    ) -> AsyncIterator[Changes]:
        """Read the blocks up to the head, one by one; take back what is not the head's chain."""
        head = path[-1]
        if path[0].number <= cursor:
            yield await aside(self._store.undo_to, path[0].number - 1)
        doubts = [*self._doubts]
        joint = Riders([*riders.requests, *(one.request for one in doubts)])
        for header in path:
            yield await self._read_block(header, joint if header is head else None)
        if joint.answers is None:
            return
        riders.answers = joint.answers[: len(riders.requests)]
        partial = await self._settle(doubts, joint.answers[len(riders.requests) :])
        if partial is not None:
            yield await aside(self._store.undo_to, partial - 1)
            for header in await self._path(head):
                yield await self._read_block(header)

    async def _settle(
        self, doubts: Sequence[_Doubt], answers: Sequence[Json | RpcError]
    ) -> int | None:
        """Drop the doubts that are answered; return the first block whose logs were not all."""
        partial = None
        for doubt, answer in zip(doubts, answers, strict=True):
            number = doubt.header.number
            if await aside(self._store.hash_at, number) == doubt.header.hash:
                try:
                    [raw] = _results([answer])
                    logs = _logs_of(doubt.header, raw, doubt.wanted)
                except _BAD_ANSWER:
                    continue
                merged = {log.place: log for log in (*doubt.logs, *logs)}
                if len(merged) == len(doubt.logs):
                    self.false_alarms += 1
                else:
                    self._know(doubt.header, doubt.wanted, [merged[one] for one in sorted(merged)])
                    partial = min(partial or number, number)
            self._doubts.remove(doubt)
        return partial

    def _stand(self, head: Header) -> tuple[int | None, int | None, bytes | None, bytes | None]:
        """Return the store's cursor and lowest block, its hash at the head's height, and below."""
        store, number = self._store, head.number
        return store.cursor(), store.lowest(), store.hash_at(number), store.hash_at(number - 1)

    async def _begin(self, head: Header) -> None:
        """Put the block before the first one into a new store: a branch may start there."""
        first = self._store.deployment.first_block
        if head.number >= first:
            header = await self._header_at(max(first - 1, 0))
            await aside(self._store.apply, header, (), {})

    # Headers

    async def _header_at(self, number: int) -> Header:
        def read(answers: Sequence[Json]) -> Header:
            return _header(answers[0], number)

        request = "eth_getBlockByNumber", [hex(number), False]
        return await self._ask(f"the header of block {number}", [request], read)

    async def _header_of(self, block_hash: bytes, number: int) -> Header:
        def read(answers: Sequence[Json]) -> Header:
            return _header(answers[0], number, block_hash)

        request = "eth_getBlockByHash", [_hex(block_hash), False]
        return await self._ask(f"the header of block {number}", [request], read)

    async def _ancestor(self, cursor: int, lowest: int) -> int:
        """Return the last block in the store that is the chain's, by number."""
        for number in range(cursor, lowest - 1, -1):
            header = await self._header_at(number)
            if header.hash == await aside(self._store.hash_at, number):
                return number
        raise self._too_deep(lowest)

    async def _path(self, head: Header) -> list[Header]:
        """Return the headers from the one above the last common block up to the head."""
        path, lowest = [head], await aside(self._store.lowest) or 0
        while await aside(self._store.hash_at, path[-1].number - 1) != path[-1].parent_hash:
            if path[-1].number <= lowest + 1:
                raise self._too_deep(lowest)
            path.append(await self._header_of(path[-1].parent_hash, path[-1].number - 1))
        return path[::-1]

    def _too_deep(self, lowest: int) -> IngestError:
        return IngestError(
            f"the chain is not the store's, back to block {lowest}, the lowest that the store "
            f"{self._store.name} can go back to (window {self._store.window}); check the node, or "
            "delete the store and read the chain anew, with a larger window"
        )

    # Steps

    async def _read_ranges(self, cursor: int, final: int) -> AsyncIterator[Changes]:
        """Read final blocks in ranges as large as the node takes."""
        failures = 0
        while cursor < final:
            last = min(cursor + self._span, final)
            try:
                header, changes, size = await self._read_range(cursor + 1, last)
            except _BAD_ANSWER as error:
                failures += last == cursor + 1
                if failures == _ATTEMPTS:
                    raise IngestError(f"block {last} could not be read: {error}") from error
                self._span = max(1, (last - cursor) // 2)
                continue
            await aside(self._store.apply, header, changes.vaults, changes.words, final=True)
            yield changes
            cursor, failures = last, 0
            if size > _MANY_LOGS:
                self._span = max(1, self._span // 2)
            else:
                self._span = min(self._span + self._span // 4 + 1, _LARGEST_SPAN)

    async def _read_range(self, first: int, last: int) -> tuple[Header, Changes, int]:
        """Return the last block's header, what the range changed, and how many logs said so."""
        headers: list[Header] = []
        size = 0

        async def fetch(wanted: Wanted) -> list[LogEntry]:
            nonlocal size
            # In one batch: a node that is behind, whose logs would lack, has no such header.
            where = {"fromBlock": hex(first), "toBlock": hex(last)}
            header = "eth_getBlockByNumber", [hex(last), False]
            answers = await self._rpc.batch([_logs_request(wanted, where), header])
            answer, block = _results(answers)
            headers.append(_header(block, last))
            logs = _wanted_logs(answer, wanted)
            for log in logs:
                number = log.place[0]
                ours = log.block_hash == headers[0].hash
                if not first <= number <= last or ours != (number == last):
                    raise WireError(f"log {log.place} is not of blocks {first} to {last}")
            size += len(logs)
            return logs

        changes = await self._collect(fetch)
        if headers[0] != headers[-1]:
            raise WireError(f"block {last} became another while it was read")
        return headers[0], changes, size

    def _know(self, header: Header, wanted: Wanted, logs: list[LogEntry]) -> None:
        """Keep a block's logs, should it have to be read again: of no more than a window."""
        self._known[header.hash, frozenset(wanted)] = logs
        while len(self._known) > self._store.window:
            del self._known[next(iter(self._known))]

    async def _read_block(self, header: Header, riders: Riders | None = None) -> Changes:
        async def fetch(wanted: Wanted) -> list[LogEntry]:
            known = self._known.get((header.hash, frozenset(wanted)))
            if known is not None and not (riders and riders.requests):
                return known
            request = _logs_request(wanted, {"blockHash": _hex(header.hash)})

            def read(answers: Sequence[Json]) -> list[LogEntry]:
                return _logs_of(header, answers[0], wanted)

            what = f"the logs of block {header.number}"
            logs = await self._ask(what, [request], read, riders)
            self._know(header, wanted, logs)
            if _seems_to_miss(header, wanted, logs):
                self._doubts.append(_Doubt(header, request, wanted, logs))
            return logs

        try:
            changes = await self._collect(fetch)
        except _BAD_ANSWER as error:
            self._known.clear()
            raise IngestError(f"block {header.number} could not be read: {error}") from error
        await aside(self._store.apply, header, changes.vaults, changes.words)
        return changes

    async def _collect(self, fetch: Fetch) -> Changes:
        """Return what the logs say, those of vaults that they say are new included."""
        known = await aside(self._store.addresses)
        factory = self._store.deployment.factory
        records = [
            *map(
                decode,
                await fetch({factory: (CREATED_TOPIC,), **dict.fromkeys(known, SLOT_TOPICS)}),
            )
        ]
        vaults = tuple([one for one in records if isinstance(one, Vault)])
        for index, vault in enumerate(vaults, len(known)):
            if vault.index != index:
                raise WireError(f"vault {vault.index} was created, but vault {index} is not known")
        if vaults:
            new = dict.fromkeys([vault.address for vault in vaults], SLOT_TOPICS)
            records += map(decode, await fetch(new))
        written = [one for one in records if isinstance(one, SlotWritten)]
        return Changes(
            vaults=vaults, words={(one.vault, one.position_id): one.word for one in written}
        )

    async def _ask(
        self,
        what: str,
        requests: Sequence[Request],
        read: Callable[[Sequence[Json]], _T],
        riders: Riders | None = None,
    ) -> _T:
        """Return what `read` makes of the answers; ask again when they cannot be used.

        Again without riders: a batch that they make too large must not keep the answers back.
        """
        attempts = _ATTEMPTS
        while True:
            riding = riders.requests if riders and riders.answers is None else ()
            try:
                answers = await self._rpc.batch([*requests, *riding])
                found = read(_results(answers[: len(requests)]))
                if riders and riding:
                    riders.answers = answers[len(requests) :]
                return found
            except _BAD_ANSWER as error:
                attempts, riders = attempts - 1, None
                if not attempts:
                    raise IngestError(f"{what} could not be read: {error}") from error


def _results(answers: Sequence[Json | RpcError]) -> Sequence[Json]:
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return answers


def _header(answer: Json, number: int, block_hash: bytes | None = None) -> Header:
    """Return the header that was asked for; raise WireError for another or for none."""
    if answer is None:
        raise WireError(f"the node does not have block {number}")
    header = Header.parse(answer)
    if header.number != number or block_hash not in (None, header.hash):
        raise WireError(f"the node sent block {header.number} for block {number}")
    return header


def _wanted_logs(answer: Json, wanted: Wanted) -> list[LogEntry]:
    logs = parse_logs(answer)
    for log in logs:
        if not log.topics or log.topics[0] not in wanted.get(log.address, ()):
            raise WireError(f"log {log.place} of {_hex(log.address)} was not asked for")
    return logs


def _logs_of(header: Header, answer: Json, wanted: Wanted) -> list[LogEntry]:
    logs = _wanted_logs(answer, wanted)
    for log in logs:
        if (log.block_hash, log.place[0]) != (header.hash, header.number):
            raise WireError(f"log {log.place} is not of block {_hex(header.hash)}")
    return logs


def _seems_to_miss(header: Header, wanted: Wanted, logs: Sequence[LogEntry]) -> bool:
    """Return whether the bloom filter names an address with a topic of which there is no log."""
    there = {(log.address, log.topics[0]) for log in logs}
    return any(
        header.may_hold(address, topic) and (address, topic) not in there
        for address, topics in wanted.items()
        for topic in topics
    )

"""Several nodes as one: the best is asked, the next when it fails; a head counts with a quorum."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.answers import (
    is_behind,
    is_no_answer,
    is_range,
    logs_of,
    no_answers,
    question_of,
)
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header, LogEntry, Rpc, WireError

_FIRST_REST, _LONGEST_REST = 0.5, 60.0
"""Seconds that an endpoint is left alone after one failure, and after many: twice as long each."""
_LAG_REST = 1.0
"""Seconds that an endpoint is left alone when it does not have a block yet."""
_FROZEN = 60.0
"""Seconds at one height after which an endpoint that is behind is called frozen."""
_REMEMBERED = 64
"""Questions of which it is kept who answered them."""


@dataclass(frozen=True, slots=True)
class Health:
    """An endpoint as a status shows it; `height` is None before it has said one."""

    name: str
    height: int | None
    healthy: bool
    error: str | None


@dataclass(slots=True)
class _Endpoint:
    """`rose` is when its height was last seen to change, `rests_until` the end of its rest, s."""

    name: str
    rpc: Rpc
    height: int = -1
    rose: float = 0.0
    failures: int = 0
    rests_until: float = 0.0
    error: str | None = None
    view: tuple[bytes, str | None] = b"", None
    """The head that it was last asked about, by its hash, and why it does not have it."""
    block: bytes | None = None
    """The hash of the block that it has at that head's height."""

    def fail(self, error: str, now: float) -> None:
        self.error = error
        self.rests_until = now + min(_FIRST_REST * 2**self.failures, _LONGEST_REST)
        self.failures = min(self.failures + 1, 16)

    def lag(self, error: str, now: float) -> None:
        self.error, self.failures, self.rests_until = error, 0, now + _LAG_REST

    def succeed(self) -> None:
        self.error, self.failures, self.rests_until = None, 0, 0.0

    def stand_at(self, height: int, now: float) -> None:
        if height != self.height:
            self.height, self.rose = height, now


class Pool:
    """Named endpoints as one `Rpc`; itself decides by what it saw and by `clock`, and never sleeps.

    A batch is answered by one endpoint as a whole, as what is read together must be of one node:
    the first, in the order given, of those that are healthy and at the height that `quorum` of them
    have reached. The next is asked, `tries` in all, when one is slow, gives no answer, is over its
    limit, or does not have a block yet; and when the same logs or header are asked for once more,
    as nobody does who could use the first answer. Logs of a range are asked of two. An endpoint
    that fails comes last until it has answered again, be it to `agreed` or to `survey`; so does one
    that lacks the last head that was agreed on.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Rpc],
        *,
        quorum: int | None = None,
        tries: int = 4,
        timeout: float = 10.0,
        slow: float = 1.0,
        quick: float = 2.0,
        slack: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the `quorum`, the majority by default, and what an answer may take, seconds.

        After `slow` the next endpoint is asked, too; `quick` is for an answer about a head, and for
        an endpoint that failed. `slack` is by how many blocks a head may be behind before it counts
        as old.
        """
        self._endpoints = [_Endpoint(name, rpc, rose=clock()) for name, rpc in endpoints.items()]
        self._quorum = len(endpoints) // 2 + 1 if quorum is None else quorum
        if not 1 <= self._quorum <= len(endpoints):
            raise ValueError(
                f"a quorum of {quorum} of {len(endpoints)} endpoints; name more, or ask for fewer"
            )
        self._tries, self._slack = tries, slack
        self._timeout, self._slow, self._quick = timeout, slow, quick
        self._clock = clock
        self._answered: OrderedDict[str, set[str]] = OrderedDict()
        self._asking: set[asyncio.Task[str | None]] = set()
        self._agreed = b""
        """The hash of the last head that was agreed on: those that lack that one are doubted."""

    @classmethod
    def of(cls, urls: Sequence[str], *, quorum: int | None = None, slack: int = 3) -> Self:
        """Return the pool of nodes at these URLs, each named by its host: a path may hold a key."""
        seen: Counter[str] = Counter()
        endpoints: dict[str, Rpc] = {}
        for url in urls:
            host = urlsplit(url).hostname or "?"
            seen[host] += 1
            endpoints[host if seen[host] == 1 else f"{host} ({seen[host]})"] = Web3Rpc(url)
        return cls(endpoints, quorum=quorum, slack=slack)

    async def close(self) -> None:
        """Stop asking, and close the endpoints that can be closed."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        for endpoint in self._endpoints:
            if isinstance(endpoint.rpc, Web3Rpc):
                await endpoint.rpc.close()

    def describe(self) -> list[Health]:
        """Return how each endpoint is, in the order given."""
        found = []
        for one in self._endpoints:
            error = one.error or self._doubt(one)
            height = None if one.height < 0 else one.height
            found.append(Health(one.name, height, error is None, error))
        return found

    def _doubt(self, endpoint: _Endpoint) -> str | None:
        """Return why an endpoint lacks the head that was agreed on."""
        head, reason = endpoint.view
        return reason if head == self._agreed else None

    # Asking one

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """Return each request's result, or its error, in their order; raise nothing.

        Where no endpoint has all answers, those of the one that has most; where none has any, the
        same error for each, which says of every endpoint that was asked what was wrong.
        """
        if not requests:
            return []
        if len(self._endpoints) > 1 and is_range(requests[0]):
            return await self._twice(requests)
        questions = [one for one in map(question_of, requests) if one]
        answered = {name for one in questions for name in self._answered.get(one, ())}
        candidates = self._order(answered)[: self._tries]
        endpoint, answers = await self._first(candidates, requests, self._slow)
        if endpoint is not None:
            for question in questions:
                self._remember(question, endpoint.name)
        return answers

    async def _first(
        self, candidates: list[_Endpoint], requests: Sequence[Request], slow: float
    ) -> tuple[_Endpoint | None, list[Json | RpcError]]:
        """Return the first candidate that has all answers, and those, or None and what there is.

        Those that were asked are taken off the candidates.
        """
        most: tuple[int, list[Json | RpcError]] | None = None
        reasons = []
        async with aclosing(self._each(candidates, requests, slow)) as each:
            async for endpoint, answers in each:
                lacking = self._judge(endpoint, requests, answers)
                if not lacking:
                    return endpoint, answers
                reasons.append(f"{endpoint.name}: {endpoint.error}")
                if most is None or lacking < most[0]:
                    most = lacking, answers
        if most and not all(map(is_no_answer, most[1])):
            return None, most[1]
        told = f"no answer from {len(reasons)} of {len(self._endpoints)} nodes: "
        return None, no_answers(requests, told + "; ".join(reasons))

    async def _each(
        self, candidates: list[_Endpoint], requests: Sequence[Request], slow: float
    ) -> AsyncGenerator[tuple[_Endpoint, list[Json | RpcError]], None]:
        """Yield candidates with answers as these come; begin the next after `slow` seconds."""
        asked: dict[asyncio.Task[list[Json | RpcError]], _Endpoint] = {}
        try:
            while candidates or asked:
                if candidates:
                    endpoint = candidates.pop(0)
                    timeout = self._quick if endpoint.failures else self._timeout
                    asked[asyncio.create_task(self._ask(endpoint, requests, timeout))] = endpoint
                done, _ = await asyncio.wait(
                    asked,
                    timeout=slow if candidates else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    yield asked.pop(task), task.result()
        finally:
            for task, endpoint in asked.items():
                if task.cancel():
                    endpoint.fail("too slow to be waited for", self._clock())

    async def _twice(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """Return the logs of a range as two endpoints give them, or as the only one that answers.

        No header's bloom filter says what lacks among them, as one does of a single block's.
        """
        candidates = self._order(set())[: self._tries]
        given: list[tuple[str, list[LogEntry], list[Json | RpcError]]] = []
        answers: list[Json | RpcError] = []
        while candidates:
            # One after the other, however slow: one that is not waited for agrees on nothing.
            endpoint, answers = await self._first(candidates, requests, self._timeout)
            logs = logs_of(answers)
            if endpoint is None or logs is None:
                continue
            for _name, same, earlier in given:
                if same == logs:
                    return earlier
            given.append((endpoint.name, logs, answers))
        if len(given) > 1:
            counts = "; ".join(f"{name} gives {len(logs)}" for name, logs, _answers in given)
            return no_answers(
                requests, f"no answer that two nodes agree on: of these logs {counts}"
            )
        return given[0][2] if given else answers

    def _order(self, answered: set[str]) -> list[_Endpoint]:
        """Return the endpoints, the best first; those that `answered` some of it come last."""
        now = self._clock()
        agreed = sorted((one.height for one in self._endpoints), reverse=True)[self._quorum - 1]
        return sorted(
            self._endpoints,
            key=lambda one: (
                one.name in answered,
                max(one.rests_until - now, 0.0),
                one.failures > 0 or self._doubt(one) is not None,
                one.height < agreed,
            ),
        )

    def _remember(self, question: str, name: str) -> None:
        names = self._answered.setdefault(question, set())
        names.add(name)
        if len(names) == len(self._endpoints):
            names.clear()
        self._answered.move_to_end(question)
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)

    async def _ask(
        self, endpoint: _Endpoint, requests: Sequence[Request], timeout: float
    ) -> list[Json | RpcError]:
        try:
            return await asyncio.wait_for(endpoint.rpc.batch(requests), timeout)
        except TimeoutError:
            return no_answers(requests, f"no answer within {timeout:g} s")

    def _judge(
        self, endpoint: _Endpoint, requests: Sequence[Request], answers: Sequence[Json | RpcError]
    ) -> int:
        """Return how many answers another endpoint may have; note what this says of this one."""
        failed = [answer for answer in answers if is_no_answer(answer)]
        absent = [
            f"it does not have a block yet: {answer or method}"
            for (method, _params), answer in zip(requests, answers, strict=True)
            if is_behind(method, answer)
        ]
        if failed:
            endpoint.fail(failed[0].message, self._clock())
        elif absent:
            endpoint.lag(absent[0], self._clock())
        else:
            endpoint.succeed()
        return len(failed) + len(absent)

    # Asking all

    async def survey(self) -> bool:
        """Ask every endpoint how high it is; one that failed and answers is healthy again.

        Returns whether any has answered.
        """
        reasons = await asyncio.gather(*[self._look(one, None) for one in self._endpoints])
        return None in reasons

    async def agreed(self, head: Header) -> str | None:
        """Return None when `quorum` endpoints have this very head and none newer, else the reason.

        Returns as soon as so many have said so; what the others say is still noted when it comes.
        """
        tasks = [asyncio.create_task(self._look(one, head)) for one in self._endpoints]
        self._asking.update(tasks)
        for task in tasks:
            task.add_done_callback(self._asking.discard)
        reasons: list[str] = []
        agreeing = 0
        for answer in asyncio.as_completed(tasks):
            reason = await answer
            if reason is not None:
                reasons.append(reason)
                continue
            agreeing += 1
            if agreeing == self._quorum:
                self._agreed = head.hash
                return None
        self._disown(head)
        return (
            f"{agreeing} of {len(tasks)} nodes have block {head.number} as the head, "
            f"0x{head.hash.hex()} (needed: {self._quorum}): {'; '.join(sorted(reasons))}"
        )

    def _disown(self, head: Header) -> None:
        """Let those rest that have a head where a quorum has another block of one hash."""
        theirs = Counter(one.block for one in self._endpoints if one.block is not None)
        if max(theirs.values(), default=0) >= self._quorum and theirs[head.hash] < self._quorum:
            for endpoint in self._endpoints:
                if endpoint.block == head.hash:
                    told = f"its block {head.number:,} is not that of the others"
                    endpoint.fail(told, self._clock())

    async def _look(self, endpoint: _Endpoint, head: Header | None) -> str | None:
        """Note an endpoint's height; return why it does not have this head, where so."""
        requests: list[Request] = [("eth_blockNumber", [])]
        if head is not None:
            requests.append(("eth_getBlockByNumber", [hex(head.number), False]))
        answers = await self._ask(endpoint, requests, self._quick)
        name, now = endpoint.name, self._clock()
        for answer in answers:
            if is_no_answer(answer):
                endpoint.fail(answer.message, now)
                return f"{name} does not answer: {answer.message}"
        try:
            endpoint.stand_at(int(str(answers[0]), 16), now)
        except ValueError:
            endpoint.fail(f"it does not say its height: {answers[0]!r:.100}", now)
            return f"{name} does not say its height"
        endpoint.succeed()
        if head is None:
            return None
        endpoint.block = _hash_of(answers[1])
        reason = self._differs(endpoint, head, answers[1])
        endpoint.view = head.hash, reason
        return reason

    def _differs(self, endpoint: _Endpoint, head: Header, block: Json | RpcError) -> str | None:
        name, height = endpoint.name, endpoint.height
        if is_behind("eth_getBlockByNumber", block):
            seconds = self._clock() - endpoint.rose
            if seconds >= _FROZEN:
                return f"{name} is frozen at block {height}, for {seconds:.0f} s"
            return f"{name} is behind, at block {height}"
        if isinstance(block, RpcError):
            return f"{name} does not say the block: {block.message}"
        try:
            found = Header.parse(block).hash
        except WireError as error:
            return f"{name}: {error}"
        if found != head.hash:
            return f"{name} has another block there, 0x{found.hex()}"
        if height > head.number + self._slack:
            return f"{name} has gone on to block {height}"
        return None


def _hash_of(block: Json | RpcError) -> bytes | None:
    try:
        return None if isinstance(block, RpcError) else Header.parse(block).hash
    except WireError:
        return None

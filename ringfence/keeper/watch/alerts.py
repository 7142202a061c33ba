"""Alerts by webhook: a person hears once that something is wrong, and once that it is over.

What is posted is JSON: `text` for people, `key`, `severity`, `state` (firing or resolved), `since`
(unix seconds) and `labels`. It is enough for chat services, which read `text`, and for routers.

The keeper says at each block what is wrong, and goes on; telling is a task of its own. What waits
is no log of the past but the difference between what is wrong and what the receiver has taken: at
most one message a key, at most `limit` keys. A message that no attempt brings through is counted as
dropped and tried anew after the next block, while it is still true. A receiver that takes a message
but does not say so in time gets it again, with the same `key`, `state` and `since`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import ClientError, ClientSession, ClientTimeout
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from ringfence.keeper.watch.status import AlertCounts, Problem

Clock = Callable[[], float]
"""Says the time, unix seconds."""

_FAILURES = (ClientError, TimeoutError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the receiver has taken of a problem, and when."""

    problem: Problem
    since: float
    at: float


class Alerts:
    """Tells a webhook what is wrong; `update` at each block, and `run` as a task beside.

    `labels` go with each message. A problem is told again when its severity changes, and every
    `repeat` seconds while it lasts. A message has `attempts`, each of at most `timeout` seconds,
    with `pause`, twice that, four times that between them, seconds, a minute at most.
    """

    def __init__(
        self,
        url: str,
        counts: AlertCounts,
        clock: Clock,
        *,
        labels: Mapping[str, str] | None = None,
        repeat: float = 4 * 3_600,
        limit: int = 100,
        timeout: float = 10,
        attempts: int = 4,
        pause: float = 1,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url, self._counts, self._clock = url, counts, clock
        self._labels = dict(labels or {})
        self._repeat, self._limit, self._timeout = repeat, limit, timeout
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            wait=wait_exponential(multiplier=pause, max=60),
            retry=retry_if_exception_type(_FAILURES),
            sleep=sleep,
            reraise=True,
        )
        self._wrong: dict[str, tuple[Problem, float]] = {}
        self._told: dict[str, _Told] = {}
        self._changed = asyncio.Event()

    def update(self, problems: Sequence[Problem]) -> None:
        """Take over what is wrong now, the worst first; return at once."""
        now = self._clock()
        wrong = {one.key: one for one in problems if one.severity != "info"}
        room = max(0, self._limit - len(self._told))
        for key in [key for key in wrong if key not in self._told][room:]:
            del wrong[key]
            self._counts.dropped += 1
        self._wrong = {
            key: (one, self._wrong[key][1] if key in self._wrong else now)
            for key, one in wrong.items()
        }
        self._changed.set()

    async def run(self) -> None:
        """Tell, until cancelled; no failure ends it."""
        limit = ClientTimeout(total=self._timeout)
        async with ClientSession(timeout=limit) as session:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for key in [*self._untold()]:
                    await self._tell(session, key)

    def _untold(self) -> Iterator[str]:
        """Yield the keys of which the receiver does not know what it should."""
        now = self._clock()
        for key, (problem, _since) in self._wrong.items():
            told = self._told.get(key)
            if (
                told is None
                or told.problem.severity != problem.severity
                or now - told.at >= self._repeat
            ):
                yield key
        yield from (key for key in self._told if key not in self._wrong)

    async def _tell(self, session: ClientSession, key: str) -> None:
        """Tell how it is with a key by now."""
        told = self._told.get(key)
        if key in self._wrong:
            problem, since = self._wrong[key]
            since = told.since if told else since
            message = self._message(problem, "firing", since)
        elif told:
            message = self._message(told.problem, "resolved", told.since)
        else:
            return
        try:
            await self._retrying(self._post, session, message)
        except _FAILURES as error:
            # Its words would carry the URL, and the URL carries a key.
            told_status = getattr(error, "status", "")
            self._counts.error = f"{type(error).__name__} {told_status}".rstrip()
            self._counts.dropped += 1
            return
        self._counts.sent, self._counts.error = self._counts.sent + 1, None
        if message["state"] == "firing":
            self._told[key] = _Told(problem, since, self._clock())
        else:
            del self._told[key]

    def _message(self, problem: Problem, state: str, since: float) -> dict[str, object]:
        words = problem.words if state == "firing" else f"resolved: {problem.words}"
        place = "".join(f"[{value}] " for value in self._labels.values())
        return {
            "text": f"{place}{problem.severity}: {words}",
            "key": problem.key,
            "severity": problem.severity,
            "state": state,
            "since": since,
            "labels": self._labels,
        }

    async def _post(self, session: ClientSession, message: Mapping[str, object]) -> None:
        async with session.post(self._url, json=message, allow_redirects=False) as response:
            response.raise_for_status()
            if response.status >= 300:
                raise ValueError(f"an answer of {response.status}")

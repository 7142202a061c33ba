"""Every transaction that a test sends through our engines passes the state-diff check.

Nobody has to ask for it: `send` of both engines is watched from the session's start. Not seen is
what others send to the same node: Ape, web3, and commands that run in a process of their own.

A vault is whatever runs MarginVault's code, immutables left out. A contract that a test broke on
purpose has other code and is not held to the rules; storage that a test pokes is no transaction.

Where only the vault that a transaction calls was written, its own call is all that can have written
(the lock keeps every other one out, and a word too many fails anyway). The calls are asked for
(py-evm's or the node's trace) where a vault was reached through something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, wraps
from typing import Any

import pytest

from ringfence.audit.state_diff import Rules, Violation, check
from ringfence.evm import Engine, InProcessEngine, Receipt, load
from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.engine import CallMade, StateDiff


class StateDiffError(AssertionError):
    """A transaction wrote to a vault what its calls may not."""


@lru_cache(maxsize=1)
def vault_rules() -> Rules:
    return Rules(load("MarginVault"))


@lru_cache(maxsize=4_096)
def is_vault(code: bytes) -> bool:
    """Whether this is MarginVault's runtime code, with immutables of any value behind it."""
    artifact = load("MarginVault")
    immutables = sum(
        variable["length"]
        for module in artifact.layout["code_layout"].values()
        for variable in module.values()
    )
    length = len(artifact.runtime) + immutables
    return len(code) == length and code.startswith(artifact.runtime)


class Watch:
    """What the session's check has seen."""

    def __init__(self) -> None:
        self.transactions = 0
        self.wrote = 0
        self.violations: list[str] = []

    def check(
        self,
        engine: Engine,
        success: bool,
        diff: StateDiff,
        direct: CallMade,
        trace: Callable[[], tuple[CallMade, ...]],
        recognise: Callable[[bytes], bool] = is_vault,
        rules: Rules | None = None,
    ) -> list[Violation]:
        """Check one transaction; `direct` is its outermost call, `trace` gives them all."""
        self.transactions += 1
        writes = {at: words for at, words in diff.items() if recognise(engine.code_at(at))}
        if not writes:
            return []
        self.wrote += 1
        known = [direct] if writes.keys() == {direct.to} else trace()
        return check(rules or vault_rules(), known if success else [], writes, engine.storage_at)

    def report(self, found: list[Violation]) -> None:
        """Fail the test, and the session even where something catches this."""
        self.violations += [str(one) for one in found]
        if found:
            raise StateDiffError("\n".join(str(one) for one in found))


WATCH = Watch()


def _direct(receipt: Receipt, data: bytes) -> CallMade:
    to = receipt.to or receipt.contract_address or ""
    return CallMade(receipt.sender, to, data, receipt.to is None)


def _watch_in_process(send: Callable[..., Receipt]) -> Callable[..., Receipt]:
    @wraps(send)
    def watched(self: InProcessEngine, sender: Any, to: Any, data: bytes, **rest: Any) -> Receipt:
        traced, self.traced = self.traced, True
        try:
            receipt = send(self, sender, to, data, **rest)
        finally:
            self.traced = traced
        told = receipt if traced else replace(receipt, evidence=None)
        found = WATCH.check(
            self,
            receipt.success,
            receipt.state_diff,
            _direct(receipt, data),
            lambda: receipt.calls,
        )
        WATCH.report(found)
        return told

    return watched


def _watch_anvil(send: Callable[..., Receipt]) -> Callable[..., Receipt]:
    @wraps(send)
    def watched(self: AnvilEngine, sender: Any, to: Any, data: bytes, **rest: Any) -> Receipt:
        receipt = send(self, sender, to, data, **rest)
        direct = _direct(receipt, data)
        found = WATCH.check(
            self, receipt.success, receipt.state_diff, direct, lambda: receipt.calls
        )
        WATCH.report(found)
        return receipt

    return watched


# pytest


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(InProcessEngine, "send", _watch_in_process(InProcessEngine.send))
    patch.setattr(AnvilEngine, "send", _watch_anvil(AnvilEngine.send))
    config.add_cleanup(patch.undo)


_totals = [0, 0, 0]


def _add(transactions: int, wrote: int, violations: int) -> None:
    for index, number in enumerate((transactions, wrote, violations)):
        _totals[index] += number


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _add(*getattr(node, "workeroutput", {}).get("state_diff", (0, 0, 0)))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    seen = (WATCH.transactions, WATCH.wrote, len(WATCH.violations))
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["state_diff"] = seen
        return
    _add(*seen)
    if _totals[2]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sent, wrote, bad = _totals
    terminalreporter.write_line(
        f"state diff: {sent:,} transactions seen, {wrote:,} of them wrote to a vault, "
        f"{bad:,} violations"
    )

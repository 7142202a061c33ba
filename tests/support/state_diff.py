"""Every transaction that a test sends through our engines passes the state-diff check.

Nobody has to ask for it: `send` of both engines is watched from the session's start. What others
send to the same node is looked at by node_sweep.py. The fuzzer's campaign is no test session: there
the twin asks for the check of its calls on the vault.

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

from ringfence.audit.state_diff import Rules, check
from ringfence.evm import Engine, InProcessEngine, Receipt, load
from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.engine import CallMade


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
    """What the session's check has seen; `swept` of it on nodes, see node_sweep.py."""

    def __init__(self) -> None:
        self.transactions = 0
        self.swept = 0
        self.wrote = 0
        self.violations: list[str] = []

    def see(self, engine: Engine, receipt: Receipt, data: bytes) -> None:
        """Check one transaction; what it finds fails the test, and the session if a test hides it.

        `data` is what the transaction called with.
        """
        self.transactions += 1
        writes = {
            at: words for at, words in receipt.state_diff.items() if is_vault(engine.code_at(at))
        }
        if not writes:
            return
        self.wrote += 1
        to = receipt.to or receipt.contract_address or ""
        direct = CallMade(receipt.sender, to, data, receipt.to is None)
        calls = (direct,) if writes.keys() == {to} else receipt.calls
        found = check(vault_rules(), calls if receipt.success else (), writes, engine.storage_at)
        self.violations += [str(one) for one in found]
        if found:
            raise StateDiffError("\n".join(str(one) for one in found))


WATCH = Watch()


def _watch_in_process(send: Callable[..., Receipt]) -> Callable[..., Receipt]:
    @wraps(send)
    def watched(self: InProcessEngine, sender: Any, to: Any, data: bytes, **rest: Any) -> Receipt:
        traced, self.traced = self.traced, True
        try:
            receipt = send(self, sender, to, data, **rest)
        finally:
            self.traced = traced
        WATCH.see(self, receipt, data)
        return receipt if traced else replace(receipt, evidence=None)

    return watched


def _watch_anvil(send: Callable[..., Receipt]) -> Callable[..., Receipt]:
    @wraps(send)
    def watched(self: AnvilEngine, sender: Any, to: Any, data: bytes, **rest: Any) -> Receipt:
        receipt = send(self, sender, to, data, **rest)
        WATCH.see(self, receipt, data)
        return receipt

    return watched


# pytest


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(InProcessEngine, "send", _watch_in_process(InProcessEngine.send))
    patch.setattr(AnvilEngine, "send", _watch_anvil(AnvilEngine.send))
    config.add_cleanup(patch.undo)


_totals = [0, 0, 0, 0]


def _add(*figures: int) -> None:
    for index, number in enumerate(figures):
        _totals[index] += number


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _add(*getattr(node, "workeroutput", {}).get("state_diff", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    seen = (WATCH.transactions, WATCH.swept, WATCH.wrote, len(WATCH.violations))
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["state_diff"] = seen
        return
    _add(*seen)
    if _totals[3]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sent, swept, wrote, bad = _totals
    terminalreporter.write_line(
        f"state diff: {sent:,} transactions seen ({swept:,} that others sent to a node), "
        f"{wrote:,} of them wrote to a vault, {bad:,} violations"
    )

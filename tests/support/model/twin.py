"""A vault in process and its mirror: each action runs on both, every word and wei is compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ringfence.audit.state_diff import Rules, check
from ringfence.evm import Contract, InProcessEngine, Receipt, Reverted, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.artifacts import Artifact
from ringfence.evm.engine import CallMade
from ringfence.evm.in_process import Known, Trace
from ringfence.math import tokens
from ringfence.math.errors import RevertError
from ringfence.math.storage import Cell
from ringfence.math.vault import MarginVault
from ringfence.math.vault_state import Call, Callback, Event
from tests.support.model.actions import VAULT_CALLS, Action, as_address
from tests.support.model.hostile import (
    ANSWERS,
    LITTLE_GAS,
    REENTERED,
    STARVED,
    Odd,
    reentering_code,
    refuse,
)
from tests.support.model.markets import Setting
from tests.support.model.pair import (
    MismatchError,
    Pair,
    account_number,
    plain,
    require_equal,
    slot_of,
)

BROKEN_CODE = (b"", bytes.fromhex("5f5ffd"), bytes.fromhex("00"), bytes.fromhex("fe"))
"""What replaces the code of an oracle or a rate model: nothing; reverts, is silent, burns gas."""

MIRROR_NAMES = {"transferFrom": "transfer_from"}


@lru_cache(maxsize=1)
def _rules() -> Rules:
    return Rules(load("MarginVault"))


@lru_cache(maxsize=1)
def _unindexed() -> dict[str, list[str]]:
    events = (entry for entry in load("MarginVault").abi if entry["type"] == "event")
    return {
        event["name"]: [part["name"] for part in event["inputs"] if not part["indexed"]]
        for event in events
    }


def _event_data(event: Event) -> bytes:
    """Return what an event carries beside its topics: a word a field."""
    fields = _unindexed()[event.name]
    return b"".join((event.args[one] % 2**256).to_bytes(32, "big") for one in fields)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did on both: a value or a reason, the changed words, the events."""

    value: Any
    reason: str | None
    changes: dict[Cell, tuple[int, int]]
    diff: dict[int, tuple[int, int]]
    events: tuple[Event, ...]
    receipt: Receipt | None = None

    @property
    def succeeded(self) -> bool:
        return self.reason is None


class Twin(Pair):
    """A pair on which every action runs twice."""

    def __init__(
        self, setting: Setting, engine: InProcessEngine | None = None, code: Artifact | None = None
    ) -> None:
        super().__init__(setting, engine, code)
        self.viewed: dict[tuple[str, str | None], tuple[str, tuple[Any, ...]]] = {}
        self.counts: Counter[tuple[str, str | None]] = Counter()
        self.quote: tuple[int, int] = (setting.price, setting.price)
        self.oracle_is_broken = False
        self.rate = 0
        self.rate_is_broken = False
        self._codes = {
            account_number(getattr(self, name)): name for name in ("contract_trader", "wallet")
        }
        no_return = self.engine.deploy(load("NoReturnToken"), "", "", 0)
        self._no_return_code = self.engine.code_at(no_return)

    def call_by(self, caller: int) -> Call:
        """The mirror's view of a call made now."""
        quote: tuple[int, int] | str = self.quote
        return Call(
            caller,
            self.now,
            "" if self.oracle_is_broken else quote,
            self._answer_rate,
        )

    def _answer_rate(self, _cash: int, _debt: int) -> int | None:
        return None if self.rate_is_broken else self.rate

    # Run

    def run(self, action: Action) -> Outcome:
        """Run an action on both; raise MismatchError when they differ in anything."""
        if action.name == "garble":
            return self._garble(action)
        if action.name not in VAULT_CALLS:
            return self._run_world(action)
        expected_value, expected_reason = self.run_on(self.mirror, action)
        changes = {} if expected_reason is not None else self.storage.changes()
        with self._dressed(action.odd):
            receipt = self._send(action)
        reason = None if receipt.success else receipt.revert_reason
        self.counts[action.name, reason] += 1
        require_equal(reason == expected_reason, "reason", reason, expected_reason)
        if reason is None:
            value = plain(receipt.value)
            require_equal(value == expected_value, "returned", value, expected_value)
        diff = self._compare(receipt, changes)
        self._check_writes(action, diff)
        return Outcome(expected_value, reason, changes, diff, tuple(self.mirror.events), receipt)

    def run_on(self, vault: MarginVault, action: Action) -> tuple[Any, str | None]:
        """Run a call on the mirror or a copy of it; return the value and the reason."""
        vault.collateral.obey(action.odd, "collateral")
        vault.asset.obey(action.odd, "asset")
        call = self.call_by(action.caller)
        if action.odd == STARVED:
            vault.events = []
            return None, "not enough gas"
        if callback := self._callback(vault, action):
            call = replace(call, callback=callback)
        arguments: list[Any] = list(action.args)
        if action.signed is not None:
            arguments = [*arguments[:-3], self._verifier(action)]
        method = getattr(vault, MIRROR_NAMES.get(action.name, action.name))
        try:
            return plain(method(call, *arguments)), None
        except RevertError as error:
            return None, error.reason

    def _callback(self, vault: MarginVault, action: Action) -> Callback | None:
        """What the caller's code does, if it has any.

        ContractWallet accepts calls; HonestCallback mints and approves what will be pulled.
        """
        if action.odd == (self._codes.get(action.caller), "reverts"):
            return refuse
        if self._codes.get(action.caller) == "wallet":
            return lambda *_: None
        if action.caller not in self._codes:
            return None

        def prepare(token: tokens.Token, amount: int) -> None:
            token.mint(action.caller, amount)
            token.approve(action.caller, self.address, amount)

        def on_adjust(_position: int, collateral_delta: int, debt_delta: int, _data: bytes) -> None:
            if collateral_delta > 0:
                prepare(vault.collateral, collateral_delta)
            if debt_delta < 0:
                prepare(vault.asset, -debt_delta)

        def on_liquidate(_position: int, _seized: int, paid: int, _data: bytes) -> None:
            prepare(vault.asset, paid)

        return on_liquidate if action.name == "liquidate" else on_adjust

    def _verifier(self, action: Action) -> Callable[[int], bool]:
        """Whether the owner signed the action's own arguments with a given nonce."""
        if action.odd and action.odd[0] == self._codes.get(action.args[0]):
            return refuse

        def is_signed(nonce: int) -> bool:
            *fields, deadline = action.args[:-3]
            return action.signed == (*fields, nonce, deadline) and action.signer == action.args[0]

        return is_signed

    def _send(self, action: Action) -> Receipt:
        method = getattr(self.vault, action.name)
        arguments = self._converters[action.name](action.args)
        receipt: Receipt = method.transact(
            *arguments,
            sender=action.caller.to_bytes(20, "big"),
            check=False,
            gas_limit=LITTLE_GAS if action.odd == STARVED else None,
        )
        return receipt

    @contextmanager
    def _dressed(self, odd: Odd | None) -> Iterator[None]:
        """Give the odd neighbour its code for a while; a broken rate model stays what it is."""
        if odd is None or odd == STARVED or (odd == REENTERED and self.rate_is_broken):
            yield
            return
        contract: Contract = getattr(self, odd[0])
        before = self.engine.code_at(contract)
        code = {"reenters": reentering_code(), "nothing": self._no_return_code} | ANSWERS
        self.engine.set_code(contract, code[odd[1]])
        yield
        self.engine.set_code(contract, before)

    def _check_writes(self, action: Action, diff: dict[int, tuple[int, int]]) -> None:
        """Hold the vault's words to what the call may write, whatever the mirror says."""
        if not diff:
            return
        data = getattr(self.vault, action.name).encode(*self._converters[action.name](action.args))
        call = CallMade(as_address(action.caller), self.vault.address, data)
        writes = {self.vault.address: diff}
        for violation in check(_rules(), [call], writes, self.engine.storage_at):
            raise MismatchError(str(violation))

    def _run_world(self, action: Action) -> Outcome:
        changes: dict[Cell, tuple[int, int]] = {}
        sender = action.caller.to_bytes(20, "big")
        match action.name:
            case "warp":
                self.engine.advance(action.args[0])
            case "set_quote":
                self.quote = action.args
                for name, price in zip(("_low", "_high"), action.args, strict=True):
                    slot = slot_of("SettableOracle", (name,))
                    self.engine.set_storage(self.oracle, slot, price)
            case "break_oracle":
                self.oracle_is_broken = bool(action.args[0])
                self._set_code(self.oracle, action.args[0])
            case "set_rate":
                self.rate = action.args[0]
                slot = slot_of("SettableRate", ("_rate",))
                self.engine.set_storage(self.rate_model, slot, self.rate)
            case "break_rate":
                self.rate_is_broken = bool(action.args[0])
                self._set_code(self.rate_model, action.args[0])
            case "donate":
                token, amount = self._token(action.args[0]), action.args[1]
                receipt = token[0].mint(self.vault, amount, sender=sender)
                with self.storage.transaction():
                    token[1].mint(self.address, amount)
                changes = self.storage.changes()
                self._compare(receipt, changes)
            case "give":
                token, amount = self._token(action.args[0]), action.args[1]
                receipt = token[0].mint(sender, amount, sender=sender)
                with self.storage.transaction():
                    token[1].mint(action.caller, amount)
                self._compare(receipt, self.storage.changes())
            case "allow":
                token, amount = self._token(action.args[0]), action.args[1]
                receipt = token[0].approve(self.vault, amount, sender=sender)
                with self.storage.transaction():
                    token[1].approve(action.caller, self.address, amount)
                self._compare(receipt, self.storage.changes())
            case name:
                raise ValueError(f"{name} is no action")
        self.counts[action.name, None] += 1
        return Outcome(None, None, changes, {}, ())

    def _garble(self, action: Action) -> Outcome:
        """Make a call that decodes to nothing: it reverts without a reason and changes nothing."""
        data, value = action.args
        sender = action.caller.to_bytes(20, "big")
        receipt = self.engine.send(sender, self.vault, data, value=value)
        reason = receipt.revert_reason
        self.counts[action.name, reason] += 1
        require_equal(reason == "", "garbled", reason, "")
        self._compare(receipt, {})
        return Outcome(None, reason, {}, {}, (), receipt)

    def _token(self, which: int) -> tuple[Contract, tokens.Token]:
        if which == 0:
            return self.collateral, self.mirror.collateral
        return self.asset, self.mirror.asset

    def _set_code(self, contract: Contract, how: int) -> None:
        self.engine.set_code(contract, BROKEN_CODE[how] or self._sound_code[contract.address])

    # Look

    def events(self, receipt: Receipt) -> list[tuple[str, dict[str, int]]]:
        """The vault's events as the mirror has them, accounts as integers."""
        return [
            (event.name, {name: plain(value) for name, value in event.args.items()})
            for event in receipt.events(self.vault)
        ]

    def compare_event_data(self, outcome: Outcome) -> None:
        """Hold what the vault's events carry beside their topics to the mirror's."""
        evidence = outcome.receipt.evidence if outcome.receipt else None
        assert isinstance(evidence, Trace | Known)
        vault = address_bytes(self.vault)
        told = [data for emitter, data in evidence.log_data() if emitter == vault]
        mirrored = [_event_data(event) for event in outcome.events]
        require_equal(told == mirrored, "event data", told, outcome.events)

    def view(self, name: str, args: tuple[Any, ...], mirrored: Callable[[], Any]) -> None:
        """Hold a view to the mirror's answer, a reason included."""
        expected: Any
        actual: Any
        try:
            expected = plain(mirrored())
        except RevertError as error:
            expected = "reverts", error.reason
        try:
            actual = plain(getattr(self.vault, name).call(*args))
        except Reverted as error:
            actual = "reverts", error.reason
        require_equal(actual == expected, f"{name}{args}", actual, expected)
        refused = expected[1] if isinstance(expected, tuple) and "reverts" in expected else None
        self.viewed[name, refused] = name, args

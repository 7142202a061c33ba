"""A vault in process and its mirror: each action runs on both, every word and wei is compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from eth_utils.crypto import keccak

from ringfence.audit.state_diff import Rules, check
from ringfence.evm import Contract, InProcessEngine, Receipt, Reverted, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.artifacts import Artifact
from ringfence.evm.engine import CallMade, dev_accounts
from ringfence.math import tokens
from ringfence.math.errors import RevertError
from ringfence.math.storage import Cell, Storage
from ringfence.math.vault import MarginVault
from ringfence.math.vault_state import Call, Callback, Event, VaultParams
from tests.support.model.actions import VAULT_CALLS, Action, as_address
from tests.support.model.markets import Setting

NAME = "Ringfence"

BROKEN_CODE = (b"", bytes.fromhex("5f5ffd"), bytes.fromhex("00"), bytes.fromhex("fe"))
"""What replaces the code of an oracle or a rate model: nothing; reverts, is silent, burns gas."""

MIRROR_NAMES = {"transferFrom": "transfer_from"}


def account_number(address: Any) -> int:
    return int.from_bytes(address_bytes(address), "big")


@lru_cache(maxsize=65_536)
def slot_of(stem: str, cell: Cell) -> int:
    """The storage slot of a mirrored variable, its contract's address left out."""
    slot = load(stem).slot(*str(cell[0]).split("."))
    for key in cell[1:]:
        assert isinstance(key, int)
        slot = int.from_bytes(keccak(slot.to_bytes(32, "big") + key.to_bytes(32, "big")), "big")
    return slot


@lru_cache(maxsize=1)
def _rules() -> Rules:
    return Rules(load("MarginVault"))


class MismatchError(AssertionError):
    """Contract and mirror differ, or an invariant does not hold."""


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


class Twin:
    """One market on the engine and in the mirror; `code` is the vault's, if not the real one."""

    def __init__(
        self, setting: Setting, engine: InProcessEngine | None = None, code: Artifact | None = None
    ) -> None:
        self.setting = setting
        self.engine = engine or InProcessEngine()
        self._code = code or load("MarginVault")
        self.signers = dev_accounts()
        self._deploy()
        self.viewed: dict[tuple[str, str | None], tuple[str, tuple[Any, ...]]] = {}
        self.counts: Counter[tuple[str, str | None]] = Counter()
        self.quote: tuple[int, int] = (setting.price, setting.price)
        self.oracle_is_broken = False
        self.rate = 0
        self.rate_is_broken = False

    def _deploy(self) -> None:
        setting, engine = self.setting, self.engine
        self.collateral = engine.deploy(
            load("TestToken"), "Collateral", "C", setting.collateral_decimals
        )
        self.asset = engine.deploy(load("TestToken"), "Asset", "A", setting.asset_decimals)
        self.oracle = engine.deploy(load("SettableOracle"), setting.price, setting.price)
        self.rate_model = engine.deploy(load("SettableRate"), 0)
        self.contract_trader = engine.deploy(load("HonestCallback"), self.collateral, self.asset)
        self.wallet = engine.deploy(load("ContractWallet"), self.signers[0])
        self.curator = account_number(self.signers[8])
        self.guardian = account_number(self.signers[9])
        self.params = VaultParams(
            account_number(self.collateral),
            account_number(self.asset),
            account_number(self.oracle),
            account_number(self.rate_model),
            *[
                getattr(setting, name)
                for name in VaultParams.__dataclass_fields__
                if hasattr(setting, name)
            ],
        )
        self.vault = engine.deploy(
            self._code,
            (
                self.collateral,
                self.asset,
                self.oracle,
                self.rate_model,
                *[getattr(self.params, name) for name in list(_PARAM_NAMES)[4:]],
            ),
            setting.supply_cap,
            setting.debt_cap,
            as_address(self.curator),
            as_address(self.guardian),
            NAME,
            "RING",
        )
        self.storage = Storage()
        self.address = account_number(self.vault)
        self.mirror = MarginVault(
            self.storage,
            self.address,
            self.params,
            now=engine.timestamp,
            supply_cap=setting.supply_cap,
            debt_cap=setting.debt_cap,
            curator=self.curator,
            guardian=self.guardian,
        )
        self._titles: dict[int, tuple[str, Contract]] = {
            self.address: ("MarginVault", self.vault),
            self.params.collateral_token: ("TestToken", self.collateral),
            self.params.asset: ("TestToken", self.asset),
        }
        self._sound_code = {
            one.address: self.engine.code_at(one) for one in (self.oracle, self.rate_model)
        }
        self._doubles = {self.contract_trader.address}
        self._domain = {
            "name": NAME,
            "version": "1",
            "chainId": engine.chain_id,
            "verifyingContract": self.vault.address,
        }
        self._converters = {name: self._converter(name) for name in VAULT_CALLS}
        self.check_all_words()

    def _converter(self, name: str) -> Callable[[tuple[Any, ...]], list[Any]]:
        """What turns an action's integers into a call's arguments."""
        [entry] = [e for e in self.vault.abi if e.get("name") == name and e["type"] == "function"]
        kinds = [part["type"] == "address" for part in entry["inputs"]]

        def convert(args: tuple[Any, ...]) -> list[Any]:
            return [
                value.to_bytes(20, "big") if is_address else value
                for value, is_address in zip(args, kinds, strict=True)
            ]

        return convert

    @property
    def domain(self) -> dict[str, Any]:
        return self._domain

    @property
    def now(self) -> int:
        return self.engine.timestamp

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
        if action.name not in VAULT_CALLS:
            return self._run_world(action)
        expected_value, expected_reason = self.run_on(self.mirror, action)
        changes = {} if expected_reason is not None else self.storage.changes()
        receipt = self._send(action)
        reason = None if receipt.success else receipt.revert_reason
        self.counts[action.name, reason] += 1
        _require(reason == expected_reason, "reason", reason, expected_reason)
        if reason is None:
            value = _plain(receipt.value)
            _require(value == expected_value, "returned", value, expected_value)
        diff = self._compare(receipt, changes)
        self._check_writes(action, diff)
        return Outcome(expected_value, reason, changes, diff, tuple(self.mirror.events), receipt)

    def run_on(self, vault: MarginVault, action: Action) -> tuple[Any, str | None]:
        """Run a call on the mirror or a copy of it; return the value and the reason."""
        call = self.call_by(action.caller)
        if callback := self._callback(vault, action):
            call = replace(call, callback=callback)
        arguments: list[Any] = list(action.args)
        if action.signed is not None:
            arguments = [*arguments[:-3], _verifier(action)]
        method = getattr(vault, MIRROR_NAMES.get(action.name, action.name))
        try:
            return _plain(method(call, *arguments)), None
        except RevertError as error:
            return None, error.reason

    def copy(self) -> MarginVault:
        """A mirror of its own to try things on: what is done to it happens nowhere else."""
        storage = Storage()
        storage.words = dict(self.storage.words)
        vault = copy(self.mirror)
        vault.storage = storage
        vault.collateral = tokens.Token(storage, self.params.collateral_token)
        vault.asset = tokens.Token(storage, self.params.asset)
        return vault

    def _callback(self, vault: MarginVault, action: Action) -> Callback | None:
        """What the caller's code does, if it has any.

        ContractWallet accepts calls; HonestCallback mints and approves what will be pulled.
        """
        if action.caller == account_number(self.wallet):
            return lambda *_: None
        if action.caller != account_number(self.contract_trader):
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

    def _send(self, action: Action) -> Receipt:
        method = getattr(self.vault, action.name)
        arguments = self._converters[action.name](action.args)
        receipt: Receipt = method.transact(
            *arguments, sender=action.caller.to_bytes(20, "big"), check=False
        )
        return receipt

    def _compare(
        self, receipt: Receipt, changes: dict[Cell, tuple[int, int]]
    ) -> dict[int, tuple[int, int]]:
        """Hold the state diff to the mirror's changes; return the vault's part of it."""
        diff = receipt.state_diff
        expected: dict[str, dict[int, tuple[int, int]]] = {}
        for cell, pair in changes.items():
            stem, contract = self._titles[int(cell[0])]
            expected.setdefault(contract.address, {})[slot_of(stem, cell[1:])] = pair
        actual = {where: words for where, words in diff.items() if where not in self._doubles}
        if actual != expected:
            self._tell_words(actual, expected)
        return diff.get(self.vault.address, {})

    def _check_writes(self, action: Action, diff: dict[int, tuple[int, int]]) -> None:
        """Hold the vault's words to what the call may write, whatever the mirror says."""
        if not diff:
            return
        data = getattr(self.vault, action.name).encode(*self._converters[action.name](action.args))
        call = CallMade(as_address(action.caller), self.vault.address, data)
        writes = {self.vault.address: diff}
        for violation in check(_rules(), [call], writes, self.engine.storage_at):
            raise MismatchError(str(violation))

    def _tell_words(
        self,
        actual: dict[str, dict[int, tuple[int, int]]],
        expected: dict[str, dict[int, tuple[int, int]]],
    ) -> None:
        """Raise MismatchError that names the words in which two state diffs differ."""
        names = {}
        for cell in self.storage.words:
            stem, contract = self._titles[int(cell[0])]
            names[contract.address, slot_of(stem, cell[1:])] = cell[1:]
        for where in actual.keys() | expected.keys():
            ours, theirs = actual.get(where, {}), expected.get(where, {})
            for slot in ours.keys() | theirs.keys():
                name = names.get((where, slot), (where, slot))
                _require(
                    ours.get(slot) == theirs.get(slot),
                    f"word {name}",
                    ours.get(slot),
                    theirs.get(slot),
                )

    def poke(self, cell: Cell, word: int) -> None:
        """Write a word of the vault on both sides, past all rules; `cell` without an address."""
        self.engine.set_storage(self.vault, slot_of("MarginVault", cell), word)
        self.storage.words[self.address, *cell] = word

    def _run_world(self, action: Action) -> Outcome:
        changes: dict[Cell, tuple[int, int]] = {}
        sender = action.caller.to_bytes(20, "big")
        match action.name:
            case "warp":
                self.engine.advance(action.args[0])
            case "set_quote":
                self.quote = action.args
                for name, price in zip(("_low", "_high"), action.args, strict=True):
                    slot = load("SettableOracle").slot(name)
                    self.engine.set_storage(self.oracle, slot, price)
            case "break_oracle":
                self.oracle_is_broken = bool(action.args[0])
                self._set_code(self.oracle, action.args[0])
            case "set_rate":
                self.rate = action.args[0]
                self.engine.set_storage(
                    self.rate_model, load("SettableRate").slot("_rate"), self.rate
                )
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
            (event.name, {name: _plain(value) for name, value in event.args.items()})
            for event in receipt.events(self.vault)
        ]

    def view(self, name: str, args: tuple[Any, ...], mirrored: Callable[[], Any]) -> None:
        """Hold a view to the mirror's answer, a reason included."""
        expected: Any
        actual: Any
        try:
            expected = _plain(mirrored())
        except RevertError as error:
            expected = "reverts", error.reason
        try:
            actual = _plain(getattr(self.vault, name).call(*args))
        except Reverted as error:
            actual = "reverts", error.reason
        _require(actual == expected, f"{name}{args}", actual, expected)
        refused = expected[1] if isinstance(expected, tuple) and "reverts" in expected else None
        self.viewed[name, refused] = name, args

    def check_all_words(self) -> None:
        """Compare each word that the mirror knows with the contract's storage."""
        for cell, word in self.storage.words.items():
            stem, contract = self._titles[int(cell[0])]
            slot = slot_of(stem, cell[1:])
            actual = self.engine.storage_at(contract, slot)
            _require(actual == word, f"word {cell}", actual, word)


_PARAM_NAMES = tuple(VaultParams.__dataclass_fields__)


def _require(holds: bool, what: str, actual: Any, expected: Any) -> None:
    if not holds:
        raise MismatchError(f"{what}: the contract says {actual!r}, the mirror {expected!r}")


def _plain(value: Any) -> Any:
    """A value to compare: structs of either side as tuples, addresses as integers."""
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    if isinstance(value, tuple | list):
        return tuple(_plain(item) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        return tuple(getattr(value, name) for name in value.__dataclass_fields__)
    return value


def _verifier(action: Action) -> Callable[[int], bool]:
    """Whether the action's signature is its owner's, over its own arguments and a given nonce."""

    def is_signed(nonce: int) -> bool:
        *fields, deadline = action.args[:-3]
        return action.signed == (*fields, nonce, deadline) and action.signer == action.args[0]

    return is_signed

"""A vault and its mirror side by side: deployed on both, held to each other word by word."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import Any

from eth_utils.crypto import keccak

from ringfence.evm import Contract, InProcessEngine, Receipt, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.artifacts import Artifact
from ringfence.evm.engine import dev_accounts
from ringfence.math.storage import Cell, Storage
from ringfence.math.vault import MarginVault
from ringfence.math.vault_state import VaultParams
from tests.support.model.actions import VAULT_CALLS, as_address
from tests.support.model.hostile import NeighbourToken
from tests.support.model.markets import Setting

NAME = "Ringfence"

_PARAM_NAMES = tuple(VaultParams.__dataclass_fields__)


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


class MismatchError(AssertionError):
    """Contract and mirror differ, or an invariant does not hold."""


class Pair:
    """One market on the engine and in the mirror; `code` is the vault's, if not the real one."""

    def __init__(
        self, setting: Setting, engine: InProcessEngine | None = None, code: Artifact | None = None
    ) -> None:
        self.setting = setting
        self.engine = engine or InProcessEngine()
        self._code = code or load("MarginVault")
        self.signers = dev_accounts()
        self._deploy()

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
        self._seat(self.mirror)
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

    def _seat(self, vault: MarginVault) -> None:
        """Give a mirror tokens that can be hostile."""
        vault.collateral = NeighbourToken(vault.storage, self.params.collateral_token)
        vault.asset = NeighbourToken(vault.storage, self.params.asset)

    def copy(self) -> MarginVault:
        """A mirror of its own to try things on: what is done to it happens nowhere else."""
        storage = Storage()
        storage.words = dict(self.storage.words)
        vault = copy(self.mirror)
        vault.storage = storage
        self._seat(vault)
        return vault

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
                require_equal(
                    ours.get(slot) == theirs.get(slot),
                    f"word {name}",
                    ours.get(slot),
                    theirs.get(slot),
                )

    def poke(self, cell: Cell, word: int) -> None:
        """Write a word of the vault on both sides, past all rules; `cell` without an address."""
        self.engine.set_storage(self.vault, slot_of("MarginVault", cell), word)
        self.storage.words[self.address, *cell] = word

    def check_all_words(self) -> None:
        """Compare each word that the mirror knows with the contract's storage."""
        for cell, word in self.storage.words.items():
            stem, contract = self._titles[int(cell[0])]
            slot = slot_of(stem, cell[1:])
            actual = self.engine.storage_at(contract, slot)
            require_equal(actual == word, f"word {cell}", actual, word)


def require_equal(holds: bool, what: str, actual: Any, expected: Any) -> None:
    if not holds:
        raise MismatchError(f"{what}: the contract says {actual!r}, the mirror {expected!r}")


def plain(value: Any) -> Any:
    """A value to compare: structs of either side as tuples, addresses as integers."""
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    if isinstance(value, tuple | list):
        return tuple(plain(item) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        return tuple(getattr(value, name) for name in value.__dataclass_fields__)
    return value

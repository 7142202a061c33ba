"""One small interface over anvil and the in-process EVM.

The two engines take the same transactions and give the same gas, the same state, the same contract
addresses. Time stands still on both until it is moved: every transaction and every call runs at
`Engine.timestamp`, so that two transactions can share a timestamp, and a century can pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

from ringfence.evm.abi import AbiValue, Addressable, address_bytes, checksum
from ringfence.evm.errors import EvmError, Reverted, UnsupportedError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from ringfence.evm.artifacts import Artifact
    from ringfence.evm.contract import Contract, Event

MNEMONIC = "test test test test test test test test test test test junk"
"""The word list of anvil's and Ape's test accounts: public, for local chains only."""

ACCOUNTS = 10
START_BALANCE = 10_000 * 10**18
"""What each account holds on a fresh engine, in wei."""

START_TIME = 1_700_000_000
"""The timestamp of a fresh engine, in seconds."""

StateDiff: TypeAlias = dict[str, dict[int, tuple[int, int]]]
"""Address -> slot -> (word before, word after), changed words only."""

Branch: TypeAlias = tuple[int, bool]
"""A conditional jump: its program counter, and whether it was taken."""


@lru_cache(maxsize=1)
def dev_accounts() -> tuple[LocalAccount, ...]:
    """Return the accounts that every local engine funds, keys included: they can sign permits."""
    seed = seed_from_mnemonic(MNEMONIC, "")
    return tuple(
        Account.from_key(key_from_seed(seed, f"m/44'/60'/0'/0/{index}"))
        for index in range(ACCOUNTS)
    )


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain keeps it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call that took effect, or the creation of `to`: static and delegated calls left out."""

    caller: str
    to: str
    data: bytes = field(repr=False)
    creates: bool = False


class Evidence(ABC):
    """What an engine can still tell about a transaction when it is asked, and not before."""

    @abstractmethod
    def gas_used(self) -> int:
        """Return the gas of the whole transaction."""

    @abstractmethod
    def output(self) -> bytes:
        """Return what the outermost call returned or reverted with."""

    @abstractmethod
    def logs(self) -> tuple[Log, ...]:
        """Return the events in the order of their emission."""

    @abstractmethod
    def state_diff(self) -> StateDiff:
        """Return every storage word that the transaction changed."""

    @abstractmethod
    def calls(self) -> tuple[CallMade, ...]:
        """Return the calls that took effect, each before those that it made."""

    @abstractmethod
    def branches(self) -> tuple[Branch, ...]:
        """Return each conditional jump of the called contract, re-entered or not, in order."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did.

    `revert_reason` is None after a success; the words of a failure are those of `Reverted.reason`.
    Costly details are worked out when they are first asked for; an engine that was told not to
    trace raises UnsupportedError then.
    """

    success: bool
    sender: str
    to: str | None
    revert_reason: str | None
    timestamp: int
    known_gas: int | None = field(default=None, repr=False)
    known_output: bytes | None = field(default=None, repr=False)
    contract_address: str | None = None
    decode: Callable[[bytes], AbiValue] | None = field(default=None, repr=False)
    evidence: Evidence | None = field(default=None, repr=False)

    def _ask(self) -> Evidence:
        if self.evidence is None:
            raise UnsupportedError("this transaction was not traced; set `engine.traced = True`")
        return self.evidence

    @property
    def gas_used(self) -> int:
        """The gas of the whole transaction, its 21,000 included and refunds taken off."""
        return self._ask().gas_used() if self.known_gas is None else self.known_gas

    @property
    def output(self) -> bytes:
        """What the call returned, a deployment the code; of a failure the data it reverted with."""
        return self._ask().output() if self.known_output is None else self.known_output

    @property
    def value(self) -> AbiValue:
        """The decoded return value, None for a call that returns nothing or was sent raw."""
        if self.decode is None or not self.success:
            return None
        return self.decode(self.output)

    @property
    def logs(self) -> tuple[Log, ...]:
        """The events, in the order of their emission."""
        return self._ask().logs()

    @property
    def state_diff(self) -> StateDiff:
        """Every storage word that changed: address -> slot -> (before, after)."""
        return self._ask().state_diff()

    @property
    def calls(self) -> tuple[CallMade, ...]:
        """The calls that took effect, each before those that it made; none after a failure."""
        return self._ask().calls()

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Each conditional jump of the called contract; anvil must have been told to keep steps."""
        return self._ask().branches()

    def events(self, contract: Contract, name: str | None = None) -> list[Event]:
        """Return the decoded events that `contract` emitted, those called `name` if given."""
        events = [contract.decode_log(log) for log in self.logs if log.address == contract.address]
        return [event for event in events if name is None or event.name == name]


class Engine(ABC):
    """A chain to deploy to, to transact on and to look into.

    Addresses go in as hex strings, 20 bytes, accounts or contracts, and come out checksummed.
    Anybody can be a sender: an account of `accounts`, a contract, an address made up.
    """

    name: str

    @property
    def accounts(self) -> tuple[LocalAccount, ...]:
        """Ten funded accounts, the same on every engine, with their private keys."""
        return dev_accounts()

    @property
    @abstractmethod
    def chain_id(self) -> int:
        """The chain id that contracts see and signatures name."""

    # Time

    @property
    @abstractmethod
    def timestamp(self) -> int:
        """The time at which the next transaction or call runs, in seconds."""

    @abstractmethod
    def set_next_timestamp(self, timestamp: int) -> None:
        """Let everything from now on run at `timestamp`, which must not lie in the past."""

    def advance(self, seconds: int) -> None:
        """Move time on by `seconds`."""
        self.set_next_timestamp(self.timestamp + seconds)

    # Transactions

    @abstractmethod
    def send(
        self,
        sender: Addressable,
        to: Addressable | None,
        data: bytes,
        *,
        value: int = 0,
        gas_limit: int | None = None,
        decode: Callable[[bytes], AbiValue] | None = None,
    ) -> Receipt:
        """Run one transaction, `to` None deploying `data`, and report it, failed or not.

        `decode` is what `Receipt.value` will read the output with.
        """

    @abstractmethod
    def call_raw(
        self, to: Addressable, data: bytes, *, sender: Addressable | None = None, value: int = 0
    ) -> bytes:
        """Run a call that changes nothing and return its output; raise Reverted."""

    def transact(
        self,
        to: Addressable,
        data: bytes = b"",
        *,
        sender: Addressable | None = None,
        value: int = 0,
        check: bool = True,
        gas_limit: int | None = None,
    ) -> Receipt:
        """Send `data` and `value` wei to an address; the sender is the first account unless named.

        Raises Reverted when the transaction fails, unless `check` is False.
        """
        receipt = self.send(sender or self.accounts[0], to, data, value=value, gas_limit=gas_limit)
        if check and not receipt.success:
            raise Reverted(receipt.revert_reason or "", receipt)
        return receipt

    def deploy(
        self,
        artifact: Artifact,
        *args: AbiValue,
        sender: Addressable | None = None,
        value: int = 0,
    ) -> Contract:
        """Deploy an artifact with its constructor's arguments; raise Reverted when it refuses."""
        from ringfence.evm.contract import Contract

        data = artifact.initcode(*args)
        receipt = self.send(sender or self.accounts[0], None, data, value=value)
        if not receipt.success or receipt.contract_address is None:
            raise Reverted(receipt.revert_reason or "", receipt)
        return Contract(self, receipt.contract_address, artifact.abi, artifact.name, receipt)

    def deploy_blueprint(self, artifact: Artifact, *, sender: Addressable | None = None) -> str:
        """Deploy an artifact as an EIP-5202 blueprint and return the blueprint's address."""
        data = artifact.blueprint_initcode()
        receipt = self.send(sender or self.accounts[0], None, data)
        if not receipt.success or receipt.contract_address is None:
            raise Reverted(receipt.revert_reason or "", receipt)
        return receipt.contract_address

    def at(
        self, address: Addressable, abi: Artifact | Sequence[Mapping[str, Any]], name: str = ""
    ) -> Contract:
        """Return the contract at an address that something else deployed."""
        from ringfence.evm.artifacts import Artifact
        from ringfence.evm.contract import Contract

        where = checksum(address_bytes(address))
        if isinstance(abi, Artifact):
            return Contract(self, where, abi.abi, name or abi.name)
        return Contract(self, where, abi, name or where)

    def _no_funds(self, sender: Addressable, value: int) -> EvmError:
        who = checksum(address_bytes(sender))
        return EvmError(
            f"{who} holds {self.balance(sender)} wei and cannot send {value}; "
            "give it more with set_balance"
        )

    # State

    @abstractmethod
    def storage_at(self, address: Addressable, slot: int) -> int:
        """Return one storage word, 0 where nothing was ever written."""

    @abstractmethod
    def set_storage(self, address: Addressable, slot: int, word: int) -> None:
        """Write one storage word, past all rules."""

    @abstractmethod
    def balance(self, address: Addressable) -> int:
        """Return an account's balance in wei."""

    @abstractmethod
    def set_balance(self, address: Addressable, wei: int) -> None:
        """Give an account a balance in wei."""

    @abstractmethod
    def code_at(self, address: Addressable) -> bytes:
        """Return the runtime code at an address."""

    @abstractmethod
    def set_code(self, address: Addressable, code: bytes) -> None:
        """Put runtime code at an address; its storage stays."""

    @abstractmethod
    def snapshot(self) -> object:
        """Return a mark of the state and the time, good for any number of restores.

        On anvil a restore ends the marks that were made after it.
        """

    @abstractmethod
    def restore(self, mark: object) -> None:
        """Return to a mark of this engine."""

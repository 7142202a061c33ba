"""A second machine for what verbs does not tell: topics, revert data, the gas of a failure.

verbs returns an event's address and data, not its topics, and of a failed transaction a sentence.
Both are had by running the transaction again in py-evm, from the state before it: some
milliseconds each, so only when a receipt is asked. The replay counts only if it agrees with verbs
in gas and in every event: another address, other data, a different number raise EvmError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias, cast

from eth.abc import (
    AccountDatabaseAPI,
    AtomicDatabaseAPI,
    ComputationAPI,
    MessageAPI,
    MetaWitnessAPI,
    OpcodeAPI,
    StateAPI,
    TransactionContextAPI,
)
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.db.atomic import AtomicDB
from eth.db.journal import get_next_checkpoint
from eth.exceptions import Revert
from eth.typing import JournalDBCheckpoint
from eth.vm.code_stream import CodeStream
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.forks.cancun.state import CancunState
from eth.vm.forks.cancun.transaction_context import CancunTransactionContext
from eth.vm.message import Message
from eth_typing import Address, BlockNumber, Hash32
from eth_utils.crypto import keccak
from rlp import encode as rlp_encode  # type: ignore[import-untyped]
from typing_extensions import override

from ringfence.evm.abi import checksum
from ringfence.evm.engine import Branch, CallMade
from ringfence.evm.errors import EvmError
from ringfence.evm.state import ABSENT, AccountState, Transaction, pack, unpack

_GAS = 2**64 - 1
_BASE_GAS = 21_000
_CREATE_GAS = 32_000
_BYTE_GAS = 16
_ZERO_BYTE_GAS = 4
_REFUND_QUOTIENT = 5
_ROOT = Hash32(bytes(32))

_Key: TypeAlias = bytes | tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a transaction did in py-evm.

    `halt` names the fault that stopped the machine, `logs` are (address, topics, data), `changes`
    the accounts that are no longer what they were, `branches` each conditional jump of the called
    contract, re-entered or not, in their order: (program counter, whether it was taken), `calls`
    what took effect, each before those that it made.
    """

    success: bool
    gas_used: int
    output: bytes
    halt: str | None
    created: bytes | None
    logs: tuple[tuple[bytes, tuple[bytes, ...], bytes], ...]
    changes: Mapping[bytes, AccountState]
    branches: tuple[Branch, ...]
    calls: tuple[CallMade, ...]


class _Accounts(AccountDatabaseAPI):
    """Accounts in dictionaries, with one undo list instead of py-evm's tries."""

    def __init__(self, db: AtomicDatabaseAPI, state_root: Hash32 = _ROOT) -> None:
        """Take nothing from `db`: py-evm makes the object, `load` fills it."""
        del db, state_root
        self._start: Mapping[bytes, AccountState] = {}
        self._start_words: dict[bytes, dict[bytes, bytes]] = {}
        self._balances: dict[_Key, object] = {}
        self._nonces: dict[_Key, object] = {}
        self._codes: dict[_Key, object] = {}
        self._words: dict[_Key, object] = {}
        self._warm: dict[_Key, object] = {}
        self._undo: list[tuple[dict[_Key, object], _Key, object]] = []
        self._marks: dict[JournalDBCheckpoint, int] = {}

    def load(self, accounts: Mapping[bytes, AccountState]) -> None:
        self._start = accounts
        for address, account in accounts.items():
            self._balances[address] = account.balance
            self._nonces[address] = account.nonce
            self._codes[address] = account.code

    def changes(self) -> dict[bytes, AccountState]:
        """Return every account that was written to, as it is now."""
        written: dict[bytes, dict[bytes, bytes]] = {}
        for table, key, _old in self._undo:
            if table is self._words and isinstance(key, tuple):
                word = pack(self._number(table, key))
                written.setdefault(key[0], {})[pack(key[1])] = word
            elif table is not self._warm and isinstance(key, bytes):
                written.setdefault(key, {})
        return {
            address: AccountState(
                self._number(self._balances, address),
                self._number(self._nonces, address),
                self.get_code(Address(address)),
                list((dict(self._start.get(address, ABSENT).words) | words).items()),
            )
            for address, words in written.items()
        }

    def _put(self, table: dict[_Key, object], key: _Key, value: object) -> None:
        self._undo.append((table, key, table.get(key)))
        table[key] = value

    def _number(self, table: dict[_Key, object], key: _Key) -> int:
        value = table.get(key)
        return value if isinstance(value, int) else 0

    # Storage

    @override
    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:
        if from_journal:
            written = self._words.get((address, slot))
            if isinstance(written, int):
                return written
        words = self._start_words.get(address)
        if words is None:
            words = dict(self._start.get(address, ABSENT).words)
            self._start_words[address] = words
        return unpack(words.get(pack(slot), b""))

    @override
    def set_storage(self, address: Address, slot: int, value: int) -> None:
        self._put(self._words, (address, slot), value)

    @override
    def delete_storage(self, address: Address) -> None:
        # Asked at each creation, of an address that cannot have storage yet.
        if self._start.get(address, ABSENT).words:
            raise EvmError(f"0x{address.hex()} has storage before it is created")

    @override
    def is_storage_warm(self, address: Address, slot: int) -> bool:
        return bool(self._warm.get((address, slot)))

    @override
    def mark_storage_warm(self, address: Address, slot: int) -> None:
        self._put(self._warm, (address, slot), True)

    # Accounts

    @override
    def get_balance(self, address: Address) -> int:
        return self._number(self._balances, address)

    @override
    def set_balance(self, address: Address, balance: int) -> None:
        self._put(self._balances, address, balance)

    @override
    def get_nonce(self, address: Address) -> int:
        return self._number(self._nonces, address)

    @override
    def set_nonce(self, address: Address, nonce: int) -> None:
        self._put(self._nonces, address, nonce)

    @override
    def increment_nonce(self, address: Address) -> None:
        self.set_nonce(address, self.get_nonce(address) + 1)

    @override
    def get_code(self, address: Address) -> bytes:
        code = self._codes.get(address)
        return code if isinstance(code, bytes) else b""

    @override
    def set_code(self, address: Address, code: bytes) -> None:
        self._put(self._codes, address, code)

    @override
    def get_code_hash(self, address: Address) -> Hash32:
        return Hash32(keccak(self.get_code(address)))

    @override
    def delete_code(self, address: Address) -> None:
        self.set_code(address, b"")

    @override
    def account_has_code_or_nonce(self, address: Address) -> bool:
        return bool(self.get_nonce(address) or self.get_code(address))

    @override
    def delete_account(self, address: Address) -> None:
        raise NotImplementedError("deletions come after the transaction and are not replayed")

    @override
    def account_exists(self, address: Address) -> bool:
        return self.account_has_code_or_nonce(address) or bool(self.get_balance(address))

    @override
    def account_is_empty(self, address: Address) -> bool:
        return not self.account_exists(address)

    @override
    def touch_account(self, address: Address) -> None:
        """Nothing: a touched empty account costs and logs what an absent one does."""

    @override
    def is_address_warm(self, address: Address) -> bool:
        return bool(self._warm.get(address))

    @override
    def mark_address_warm(self, address: Address) -> None:
        self._put(self._warm, address, True)

    # Undo

    @override
    def record(self) -> JournalDBCheckpoint:
        mark = get_next_checkpoint()
        self._marks[mark] = len(self._undo)
        return mark

    @override
    def discard(self, checkpoint: JournalDBCheckpoint) -> None:
        length = self._marks[checkpoint]
        while len(self._undo) > length:
            table, key, value = self._undo.pop()
            table[key] = value

    @override
    def commit(self, checkpoint: JournalDBCheckpoint) -> None:
        """Nothing: an outer mark undoes what inner ones have kept."""

    # What only a chain needs

    @property
    @override
    def state_root(self) -> Hash32:
        return _ROOT

    @state_root.setter
    def state_root(self, value: Hash32) -> None:
        """Nothing: there is no trie; `discard` undoes."""

    @override
    def has_root(self, state_root: bytes) -> bool:
        return True

    @override
    def lock_changes(self) -> None:
        raise NotImplementedError("one replay runs one transaction")

    @override
    def make_state_root(self) -> Hash32:
        return _ROOT

    @override
    def persist(self) -> MetaWitnessAPI:
        raise NotImplementedError("a replay is thrown away")


_JUMPI = 0x57


class _NotedJump:
    """The conditional jump, noting where the called contract stands and goes."""

    def __init__(self, jump: OpcodeAPI) -> None:
        self._jump = jump

    def __getattr__(self, name: str) -> object:
        return getattr(self._jump, name)

    def __call__(self, computation: ComputationAPI) -> None:
        state, before = computation.state, computation.code.program_counter
        self._jump(computation=computation)
        if isinstance(state, _State) and computation.msg.storage_address == state.target:
            state.branches.append((before - 1, computation.code.program_counter != before))


@lru_cache(maxsize=64)
def _known_positions(code: bytes) -> tuple[set[int], set[int]]:
    """Return which bytes of a code are known to be instructions and which to be none.

    py-evm fills the sets as it jumps, and begins with empty ones at each call.
    """
    del code
    return set(), set()


class _Computation(CancunComputation):
    """py-evm's machine, less what it does again and again to no effect."""

    def __init__(
        self, state: StateAPI, message: MessageAPI, transaction_context: TransactionContextAPI
    ) -> None:
        super().__init__(state, message, transaction_context)
        code = CodeStream(message.code)
        code.valid_positions, code.invalid_positions = _known_positions(message.code)
        self.code = code
        self.consume_gas = self._gas_meter.consume_gas  # type: ignore[method-assign]

    @override
    def extend_memory(self, start_position: int, size: int) -> None:
        if start_position + size > len(self._memory):
            super().extend_memory(start_position, size)

    opcodes: ClassVar[dict[int, OpcodeAPI]] = {  # type: ignore[misc]  # untyped there
        **CancunComputation.opcodes,
        _JUMPI: cast("OpcodeAPI", _NotedJump(CancunComputation.opcodes[_JUMPI])),
    }


class _State(CancunState):
    account_db_class = _Accounts
    branches: list[Branch]
    target: Address

    @property
    def accounts(self) -> _Accounts:
        """The accounts, by their true type."""
        accounts = self._account_db
        if not isinstance(accounts, _Accounts):
            raise EvmError("py-evm keeps its accounts elsewhere")
        return accounts


def _halt(computation: ComputationAPI) -> str | None:
    """Return the name of the fault that stopped the machine, None for a success or a revert."""
    if computation.is_success or isinstance(computation.error, Revert):
        return None
    return type(computation.error).__name__


def _calls(computation: ComputationAPI) -> Iterator[CallMade]:
    """Walk the calls that took effect, each before those that it made."""
    if computation.is_error:
        return
    message = computation.msg
    if not message.is_static and not message.is_delegation:
        yield CallMade(
            checksum(message.sender),
            checksum(message.storage_address),
            bytes(message.data),
            message.is_create,
        )
    for child in computation.children:
        yield from _calls(child)


def _intrinsic_gas(transaction: Transaction) -> int:
    """Return the gas that is gone before the first instruction; py-evm itself counts initcode."""
    data = transaction.data
    gas = _BASE_GAS + _BYTE_GAS * len(data) - (_BYTE_GAS - _ZERO_BYTE_GAS) * data.count(0)
    return gas if transaction.to is not None else gas + _CREATE_GAS


def _message(state: CancunState, transaction: Transaction, gas: int) -> Message:
    """Return the outermost call of a transaction whose sender's nonce has gone up already."""
    sender, data = Address(transaction.sender), transaction.data
    if transaction.to is not None:
        to = Address(transaction.to)
        code = state.get_code(to)
        return Message(gas, to, sender, transaction.value, data, code)
    nonce = state.get_nonce(sender) - 1
    created = Address(keccak(rlp_encode([sender, nonce]))[12:])
    to = CREATE_CONTRACT_ADDRESS
    return Message(gas, to, sender, transaction.value, b"", data, create_address=created)


def replay(
    accounts: Mapping[bytes, AccountState], transaction: Transaction, *, chain_id: int
) -> Replayed:
    """Run one transaction on the state before it, and return what it did.

    Raises EvmError when its gas limit does not even pay for its data.
    """
    gas = _GAS if transaction.gas_limit is None else transaction.gas_limit
    intrinsic = _intrinsic_gas(transaction)
    if gas < intrinsic:
        raise EvmError(f"the gas limit is {gas}; the transaction's data alone costs {intrinsic}")
    context = ExecutionContext(
        coinbase=Address(bytes(20)),
        timestamp=transaction.timestamp,
        block_number=BlockNumber(0),
        difficulty=0,
        mix_hash=Hash32(bytes(32)),
        gas_limit=2**256 - 1,
        prev_hashes=(),
        chain_id=chain_id,
        base_fee_per_gas=0,
        excess_blob_gas=0,
    )
    state = _State(AtomicDB(), context, _ROOT)
    state.accounts.load(accounts)
    state.branches = []
    state.increment_nonce(Address(transaction.sender))
    message = _message(state, transaction, gas - intrinsic)
    state.target = message.storage_address
    state.mark_address_warm(message.sender)
    state.mark_address_warm(message.storage_address)
    run = _Computation.apply_create_message if message.is_create else _Computation.apply_message
    computation = run(state, message, CancunTransactionContext(0, message.sender))
    spent = gas - computation.get_gas_remaining()
    refund = 0 if computation.is_error else computation.get_gas_refund()
    created = message.storage_address if message.is_create and computation.is_success else None
    return Replayed(
        success=computation.is_success,
        gas_used=spent - min(refund, spent // _REFUND_QUOTIENT),
        output=bytes(computation.output),
        halt=_halt(computation),
        created=created,
        logs=tuple(
            (bytes(address), tuple(topic.to_bytes(32, "big") for topic in topics), bytes(data))
            for address, topics, data in computation.get_log_entries()
        ),
        changes=state.accounts.changes(),
        branches=tuple(state.branches),
        calls=tuple(_calls(computation)),
    )

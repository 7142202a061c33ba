"""The in-process engine: revm in this very process, through the package `verbs`.

No node, no mining, no signatures: about 20,000 encoded calls a second. verbs has no call to read
storage or to set the time, but exports and imports its whole state as a tuple, quick enough to be
done for each transaction: 12 us at 100 storage words, 0.1 ms at 1,000, 0.9 ms at 10,000. Storage,
balances, state diffs and the time are had that way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from eth_utils.crypto import keccak
from typing_extensions import override
from verbs.envs import EmptyEnvRandom, RevertError  # type: ignore[import-untyped]

from ringfence.evm.abi import AbiValue, Addressable, address_bytes, checksum, decode_revert
from ringfence.evm.engine import (
    START_BALANCE,
    START_TIME,
    Engine,
    Evidence,
    Log,
    Receipt,
    StateDiff,
    dev_accounts,
)
from ringfence.evm.errors import EvmError, Reverted, UnsupportedError

Info: TypeAlias = tuple[bytes, int, bytes, bytes]
"""Balance (32 bytes, little-endian), nonce, code hash, code."""

Words: TypeAlias = list[tuple[bytes, bytes]]
"""Storage: (slot, word), 32 bytes each, little-endian."""

State: TypeAlias = tuple[Any, ...]
"""What verbs exports: block environment, accounts, codes by hash, logs, block hashes."""

_NO_CODE_HASH = keccak(b"")
_NO_CODE = b""
_PADDING = bytes(33)
_COMPLETE = 2
"""revm's status of an account that exists and whose unknown storage words are 0."""
_DEPLOYER = b"\xde" * 20

_MEMORY_QUADRATIC = 512

_PANIC = re.compile(r"^panic: .*\(0x([0-9a-f]+)\)$")
_HALT = re.compile(r"due to halt: (\w+)")


def _word(number: int) -> bytes:
    return number.to_bytes(32, "little")


def _number(word: bytes) -> int:
    return int.from_bytes(word, "little")


class _StateEvidence(Evidence):
    """Tells a transaction's changes from the states around it."""

    __slots__ = ("_after", "_before", "_diff")

    def __init__(self, before: State, after: State) -> None:
        self._before = before
        self._after = after
        self._diff: StateDiff | None = None

    @override
    def logs(self) -> tuple[Log, ...]:
        raise UnsupportedError("the in-process engine keeps no topics; run this on anvil")

    @override
    def state_diff(self) -> StateDiff:
        if self._diff is None:
            self._diff = _diff(self._before, self._after)
        return self._diff


def _diff(before: State, after: State) -> StateDiff:
    old = {address: account[2] for address, account in before[1]}
    diff: StateDiff = {}
    for address, (_info, _status, words) in after[1]:
        old_words = old.get(address, [])
        if old_words == words:
            continue
        old_set, new_set = set(old_words), set(words)
        gone, come = dict(old_set - new_set), dict(new_set - old_set)
        changes = {}
        for slot in gone.keys() | come.keys():
            pair = _number(gone.get(slot, b"")), _number(come.get(slot, b""))
            if pair[0] != pair[1]:
                changes[_number(slot)] = pair
        if changes:
            diff[checksum(address)] = changes
    return diff


def _reason(error: RevertError) -> str:
    """Return a revert's reason in the words of `decode_revert`, from those of verbs."""
    text = str(error.args[0]) if error.args else ""
    if panic := _PANIC.search(text):
        return f"panic {int(panic[1], 16):#04x}"
    text = text.removeprefix("revert: ")
    return "" if text == "<empty>" else text


def _halt(error: BaseException) -> str:
    """Return why the machine stopped, "" if `error` says nothing of the kind.

    verbs panics when the machine stops, with an exception that no module exports.
    """
    found = _HALT.search(str(error)) if type(error).__name__ == "PanicException" else None
    return f"halt: {found[1]}" if found else ""


def _deployment_code(value: int) -> bytes:
    """Return code that creates its calldata with `value` wei and returns (address, revert data).

    verbs' own deployment takes no value, tells no gas and panics on a revert; this code, lent to
    the deploying account for one transaction, does all three.
    """
    return bytes.fromhex(
        "365f5f37"  # calldatacopy(0, 0, calldatasize)
        f"365f7f{value:064x}f0"  # create(value, 0, calldatasize)
        "5f52"  # mstore(0, address)
        "3d5f60203e"  # returndatacopy(32, 0, returndatasize)
        "3d602001"  # 32 + returndatasize
        "5ff3"  # return(0, ...)
    )


def _deployment_overhead(size: int) -> int:
    """Return the gas that `_deployment_code` costs besides the creation, for `size` bytes."""
    words = -(-size // 32)
    memory = 3 * words + words * words // _MEMORY_QUADRATIC
    before = 2 + 2 + 2 + (3 + 3 * words + memory) + 2 + 2 + 3
    after = 2 + 3 + (2 + 2 + 3 + 3) + (2 + 3 + 3) + 2
    return before + after


class InProcessEngine(Engine):
    """A chain inside this process, Cancun rules, chain id 1, gas price 0.

    `traced` decides whether receipts can tell their state diff: the price is one export of the
    state for each transaction. Switch it off for long runs over a large state.
    """

    name = "in process"

    def __init__(self, *, traced: bool = True, timestamp: int = START_TIME) -> None:
        self.traced = traced
        self._timestamp = timestamp
        self._codes: dict[bytes, bytes] = {_NO_CODE_HASH: _NO_CODE, bytes(32): _NO_CODE}
        env = EmptyEnvRandom(0)
        block, _none, codes, logs, hashes = env.export_snapshot()
        info: Info = (_word(START_BALANCE), 0, _NO_CODE_HASH, _NO_CODE)
        words: Words = []
        accounts = [(address_bytes(one), (info, _COMPLETE, words)) for one in dev_accounts()]
        self._load((block, accounts, codes, logs, hashes))

    # The state

    def _load(self, state: State) -> None:
        block, exported, codes, logs, hashes = state
        block = (*block[:2], _word(self._timestamp), *block[3:])
        accounts = [
            (address, ((info[0], info[1], info[2], self._code(info[2], info[3])), status, words))
            for address, (info, status, words) in exported
        ]
        codes = [(code_hash, self._code(code_hash, code)) for code_hash, code in codes]
        self._state: State | None = (block, accounts, codes, logs, hashes)
        self._env = EmptyEnvRandom(0, self._state)
        self._env_timestamp = self._timestamp

    def _code(self, code_hash: bytes, exported: bytes) -> bytes:
        """Return the true code for a hash: verbs exports code with revm's padding behind it."""
        code = self._codes.get(code_hash)
        if code is None:
            code = exported
            if keccak(code) != code_hash:
                code = exported.removesuffix(_PADDING)
            if keccak(code) != code_hash:
                raise EvmError(f"the state holds code that does not hash to {code_hash.hex()}")
            self._codes[code_hash] = code
        return code

    def _export(self) -> State:
        if self._state is None:
            self._state = self._env.export_snapshot()
        return self._state

    def _ready(self) -> None:
        if self._env_timestamp != self._timestamp:
            self._load(self._export())

    def _account(self, address: bytes) -> tuple[Info, Words]:
        for known, (info, _status, words) in self._export()[1]:
            if known == address:
                return info, words
        return (_word(0), 0, _NO_CODE_HASH, _NO_CODE), []

    def _put_account(self, address: bytes, info: Info, words: Words) -> None:
        block, accounts, codes, logs, hashes = self._export()
        others = [(known, other) for known, other in accounts if known != address]
        account = (address, (info, _COMPLETE, words))
        self._load((block, [*others, account], codes, logs, hashes))

    # The interface

    @property
    @override
    def chain_id(self) -> int:
        return 1

    @property
    @override
    def timestamp(self) -> int:
        return self._timestamp

    @override
    def set_next_timestamp(self, timestamp: int) -> None:
        if timestamp < self._timestamp:
            raise EvmError(f"timestamp {timestamp} lies before the chain's {self._timestamp}")
        self._timestamp = timestamp

    @override
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
        if gas_limit is not None:
            raise UnsupportedError("the in-process engine sets no gas limit; run this on anvil")
        self._ready()
        origin = address_bytes(sender)
        if value:
            self._check_funds(origin, value)
        if to is None:
            return self._create(origin, data, value)
        before = self._export() if self.traced else None
        target = address_bytes(to)
        success, output, gas_used, reason = True, b"", 0, None
        try:
            output, _logs, gas_used = self._env.execute(origin, target, data, value)
        except RevertError as error:
            success, reason = False, _reason(error)
        except BaseException as error:
            if not (reason := _halt(error)):
                raise
            success = False
        self._state = None
        evidence = None if before is None else _StateEvidence(before, self._export())
        return Receipt(
            success=success,
            sender=checksum(origin),
            to=checksum(target),
            gas_used=gas_used,
            output=output,
            revert_reason=reason,
            timestamp=self._timestamp,
            decode=decode,
            evidence=evidence,
        )

    def _check_funds(self, origin: bytes, value: int) -> None:
        balance = _number(self._account(origin)[0][0])
        if balance < value:
            raise EvmError(
                f"{checksum(origin)} holds {balance} wei and cannot send {value}; "
                "give it more with set_balance"
            )

    def _create(self, origin: bytes, data: bytes, value: int) -> Receipt:
        before = self._export()
        info, words = self._account(origin)
        code = _deployment_code(value)
        self._put_account(origin, (info[0], info[1], keccak(code), code), words)
        output, _logs, gas = self._env.execute(_DEPLOYER, origin, data, 0)
        self._state = None
        created, returned = output[12:32], output[32:]
        (balance, nonce, _hash, _code), words = self._account(origin)
        self._put_account(origin, (balance, nonce, info[2], info[3]), words)
        success = any(created)
        return Receipt(
            success=success,
            sender=checksum(origin),
            to=None,
            gas_used=gas - _deployment_overhead(len(data)),
            output=returned,
            revert_reason=None if success else decode_revert(returned),
            timestamp=self._timestamp,
            contract_address=checksum(created) if success else None,
            evidence=_StateEvidence(before, self._export()),
        )

    @override
    def call_raw(
        self, to: Addressable, data: bytes, *, sender: Addressable | None = None, value: int = 0
    ) -> bytes:
        self._ready()
        origin = address_bytes(sender or self.accounts[0])
        if value:
            self._check_funds(origin, value)
        try:
            output, _logs, _gas = self._env.call(origin, address_bytes(to), data, value)
        except RevertError as error:
            raise Reverted(_reason(error)) from None
        except BaseException as error:
            if not (reason := _halt(error)):
                raise
            raise Reverted(reason) from None
        result: bytes = output
        return result

    @override
    def storage_at(self, address: Addressable, slot: int) -> int:
        words = dict(self._account(address_bytes(address))[1])
        return _number(words.get(_word(slot), b""))

    @override
    def set_storage(self, address: Addressable, slot: int, word: int) -> None:
        where = address_bytes(address)
        info, words = self._account(where)
        written = dict(words) | {_word(slot): _word(word)}
        self._put_account(where, info, list(written.items()))

    @override
    def balance(self, address: Addressable) -> int:
        return _number(self._account(address_bytes(address))[0][0])

    @override
    def set_balance(self, address: Addressable, wei: int) -> None:
        where = address_bytes(address)
        info, words = self._account(where)
        self._put_account(where, (_word(wei), *info[1:]), words)

    @override
    def code_at(self, address: Addressable) -> bytes:
        info = self._account(address_bytes(address))[0]
        return b"" if info[2] in (_NO_CODE_HASH, bytes(32)) else self._code(info[2], info[3])

    @override
    def set_code(self, address: Addressable, code: bytes) -> None:
        where = address_bytes(address)
        info, words = self._account(where)
        self._put_account(where, (info[0], info[1], keccak(code), code or _NO_CODE), words)

    @override
    def snapshot(self) -> object:
        return self._timestamp, self._export()

    @override
    def restore(self, mark: object) -> None:
        if not isinstance(mark, tuple):
            raise EvmError("this is not a mark of an in-process engine's state")
        self._timestamp, state = mark
        self._load(state)

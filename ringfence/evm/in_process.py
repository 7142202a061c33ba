"""The in-process engine: revm in this very process, through the package `verbs`.

No node, no mining, no signatures. On a busy two-core machine, arguments encoded and state diff at
hand: 30,000 transfers of WETH9, 19,000 `adjust` of a vault, 50,000 views a second. What verbs has
no call for is had from its state (`state.py`: storage, time, state diffs) or from a second run in
py-evm (`replay.py`: topics, revert data, gas limits), which costs milliseconds and happens only
when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override
from verbs.envs import EmptyEnvRandom, RevertError  # type: ignore[import-untyped]

from ringfence.evm.abi import AbiValue, Addressable, address_bytes, checksum
from ringfence.evm.decoding import decode_revert
from ringfence.evm.engine import (
    START_BALANCE,
    START_TIME,
    Branch,
    CallMade,
    Engine,
    Evidence,
    Log,
    Receipt,
    StateDiff,
    dev_accounts,
)
from ringfence.evm.errors import EvmError, Reverted, UnsupportedError, halt_reason
from ringfence.evm.state import AccountState, State, Transaction, pack, unpack

if TYPE_CHECKING:
    from ringfence.evm.replay import Replayed

_CHAIN_ID = 1
_DEPLOYER = b"\xde" * 20
"""Sends the transactions in which an account's lent code deploys: their `tx.origin`."""

_MEMORY_QUADRATIC = 512

_CODE_SIZE_LIMIT = 24_576
"""Of EIP-170, which verbs does not know; checked for deployments, not for what they create."""

_PANIC = re.compile(r"^panic: .*\(0x([0-9a-f]+)\)$")
_HALT = re.compile(r"due to halt: (\w+)")


def _replay(state: State, transaction: Transaction) -> Replayed:
    try:
        from ringfence.evm.replay import replay
    except ImportError as error:
        raise UnsupportedError(
            f"the in-process engine needs py-evm for topics, revert data and gas limits: {error}"
        ) from error
    return replay(state.accounts(), transaction, chain_id=_CHAIN_ID)


class Trace(Evidence):
    """The states around a transaction, and what verbs said of it."""

    __slots__ = ("_after", "_before", "_diff", "_logs", "_replayed", "_spent", "_transaction")

    def __init__(
        self,
        transaction: Transaction,
        before: State,
        after: State,
        spent: int | None,
        logs: list[tuple[bytes, bytes]],
    ) -> None:
        self._transaction = transaction
        self._before = before
        self._after = after
        self._spent = spent
        self._logs = logs
        self._diff: StateDiff | None = None
        self._replayed: Replayed | None = None

    def _again(self) -> Replayed:
        if self._replayed is None:
            replayed = _replay(self._before, self._transaction)
            if self._spent not in (None, replayed.gas_used) or self._logs != [
                (address, data) for address, _topics, data in replayed.logs
            ]:
                raise EvmError(
                    "py-evm and revm disagree on a transaction: "
                    f"gas {replayed.gas_used} and {self._spent}, "
                    f"events {len(replayed.logs)} and {len(self._logs)}"
                )
            self._replayed = replayed
        return self._replayed

    @override
    def gas_used(self) -> int:
        return self._again().gas_used if self._spent is None else self._spent

    @override
    def output(self) -> bytes:
        return self._again().output

    @override
    def logs(self) -> tuple[Log, ...]:
        if not self._logs:
            return ()
        return _logs(self._again())

    def log_data(self) -> list[tuple[bytes, bytes]]:
        """Return each event's emitter and data; without topics, which verbs drops, it is free."""
        return self._logs

    @override
    def branches(self) -> tuple[Branch, ...]:
        return self._again().branches

    @override
    def state_diff(self) -> StateDiff:
        if self._diff is None:
            self._diff = self._before.diff(self._after)
        return self._diff

    @override
    def calls(self) -> tuple[CallMade, ...]:
        return self._again().calls


def _logs(replayed: Replayed) -> tuple[Log, ...]:
    return tuple(Log(checksum(address), topics, data) for address, topics, data in replayed.logs)


class Known(Evidence):
    """A transaction that ran in py-evm in the first place."""

    __slots__ = ("_diff", "_replayed")

    def __init__(self, replayed: Replayed, diff: StateDiff) -> None:
        self._replayed = replayed
        self._diff = diff

    @override
    def gas_used(self) -> int:
        return self._replayed.gas_used

    @override
    def output(self) -> bytes:
        return self._replayed.output

    @override
    def logs(self) -> tuple[Log, ...]:
        return _logs(self._replayed)

    def log_data(self) -> list[tuple[bytes, bytes]]:
        """Return each event's emitter and data."""
        return [(address, data) for address, _topics, data in self._replayed.logs]

    @override
    def branches(self) -> tuple[Branch, ...]:
        return self._replayed.branches

    @override
    def state_diff(self) -> StateDiff:
        return self._diff

    @override
    def calls(self) -> tuple[CallMade, ...]:
        return self._replayed.calls


def _reason(error: RevertError) -> str | None:
    """Return a revert's reason as `decode_revert` words it, None where verbs tells too little."""
    text = str(error.args[0]) if error.args else None
    if text in ("", "revert: <empty>"):
        return ""
    if text is None or not text.startswith(("revert: ", "panic: ")):
        return None
    panic = _PANIC.search(text)
    return f"panic {int(panic[1], 16):#04x}" if panic else text.removeprefix("revert: ")


def _halt(error: BaseException) -> str:
    """Return why the machine stopped, "" if `error` says nothing of the kind.

    verbs panics when the machine stops, with an exception that no module exports.
    """
    found = _HALT.search(str(error)) if type(error).__name__ == "PanicException" else None
    return halt_reason(found[1]) if found else ""


def _replayed_reason(replayed: Replayed) -> str | None:
    if replayed.success:
        return None
    return halt_reason(replayed.halt) if replayed.halt else decode_revert(replayed.output)


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
    """A chain inside this process: Cancun rules, chain id 1, gas price 0, block number 0.

    `traced` decides whether receipts can tell their state diff and events: the price is one export
    of the state for each transaction. Switch it off for long runs over a large state.

    Unlike a chain it has no block gas limit: code that loops for ever hangs unless the transaction
    has a `gas_limit` (it then runs in py-evm, a hundred times slower).
    """

    name = "in process"

    def __init__(self, *, traced: bool = True, timestamp: int = START_TIME) -> None:
        self.traced = traced
        self._timestamp = timestamp
        block, _accounts, codes, *rest = EmptyEnvRandom(0).export_snapshot()
        funded = AccountState(START_BALANCE, 0, b"", [])
        accounts = {address_bytes(account): funded for account in dev_accounts()}
        self._load(State((block, [], codes, *rest)).replace(accounts))

    def _load(self, state: State) -> None:
        raw = state.importable(self._timestamp)
        self._env = EmptyEnvRandom(0, raw)
        self._env_timestamp = self._timestamp
        self._exported: State | None = State(raw)

    def _state(self) -> State:
        if self._exported is None:
            self._exported = State(self._env.export_snapshot())
        return self._exported

    def _put(self, address: Addressable, account: AccountState) -> None:
        self._load(self._state().replace({address_bytes(address): account}))

    def _ready(self, origin: bytes, value: int) -> None:
        """Bring the machine to the engine's time; verbs would break on a sender without funds."""
        if self._env_timestamp != self._timestamp:
            self._load(self._state())
        if value and self._state().account(origin).balance < value:
            raise self._no_funds(origin, value)

    # The interface

    @property
    @override
    def chain_id(self) -> int:
        return _CHAIN_ID

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
        origin = address_bytes(sender)
        target = None if to is None else address_bytes(to)
        self._ready(origin, value)
        transaction = Transaction(origin, target, data, value, self._timestamp, gas_limit)
        if gas_limit is not None:
            return self._send_limited(transaction, decode)
        if target is None:
            return self._create(transaction)
        before = self._state() if self.traced else None
        success, output, reason = True, None, None
        logs: list[tuple[bytes, bytes]] = []
        spent: int | None = None
        try:
            output, logs, spent = self._env.execute(origin, target, data, value)
        except RevertError as error:
            success, reason = False, _reason(error)
        except BaseException as error:
            if not (reason := _halt(error)):
                raise
            success = False
        self._exported = None
        trace = None
        if before is not None:
            trace = Trace(transaction, before, self._state(), spent, logs)
        if not success and reason is None:
            reason = "untold" if trace is None else decode_revert(trace.output())
        return Receipt(
            success=success,
            sender=checksum(origin),
            to=checksum(target),
            revert_reason=reason,
            timestamp=self._timestamp,
            known_gas=spent,
            known_output=output,
            decode=decode,
            evidence=trace,
        )

    def _send_limited(
        self, transaction: Transaction, decode: Callable[[bytes], AbiValue] | None
    ) -> Receipt:
        """Run a transaction with a gas limit, which verbs does not take, in py-evm."""
        before = self._state()
        replayed = _replay(before, transaction)
        self._load(before.replace(replayed.changes))
        return Receipt(
            success=replayed.success,
            sender=checksum(transaction.sender),
            to=None if transaction.to is None else checksum(transaction.to),
            revert_reason=_replayed_reason(replayed),
            timestamp=self._timestamp,
            known_gas=replayed.gas_used,
            known_output=replayed.output,
            contract_address=None if replayed.created is None else checksum(replayed.created),
            decode=decode,
            evidence=Known(replayed, before.diff(self._state())),
        )

    def _create(self, transaction: Transaction) -> Receipt:
        """Deploy; the sender acts as a contract for that while (`_deployment_code`)."""
        origin, _to, data, value, timestamp, _gas_limit = transaction
        before = self._state()
        account = before.account(origin)
        self._put(origin, replace(account, code=_deployment_code(value)))
        output, logs, gas = self._env.execute(_DEPLOYER, origin, data, 0)
        self._exported = None
        self._put(origin, replace(self._state().account(origin), code=account.code))
        created, returned = output[12:32], output[32:]
        oversized = len(self._state().account(created).code) > _CODE_SIZE_LIMIT
        if oversized:
            self._load(before.replace({origin: replace(account, nonce=account.nonce + 1)}))
            created, logs = bytes(20), []
        success = any(created)
        spent = gas - _deployment_overhead(len(data)) if success else None
        reason = None if success else decode_revert(returned)
        if oversized:
            reason = halt_reason("CreateContractSizeLimit")
        return Receipt(
            success=success,
            sender=checksum(origin),
            to=None,
            revert_reason=reason,
            timestamp=timestamp,
            known_gas=spent,
            known_output=self._state().account(created).code if success else returned,
            contract_address=checksum(created) if success else None,
            evidence=Trace(transaction, before, self._state(), spent, logs),
        )

    @override
    def call_raw(
        self, to: Addressable, data: bytes, *, sender: Addressable | None = None, value: int = 0
    ) -> bytes:
        origin, target = address_bytes(sender or self.accounts[0]), address_bytes(to)
        self._ready(origin, value)
        try:
            output, _logs, _gas = self._env.call(origin, target, data, value)
        except RevertError as error:
            reason = _reason(error)
        except BaseException as error:
            if not (reason := _halt(error)):
                raise
        else:
            result: bytes = output
            return result
        if reason is None:
            transaction = Transaction(origin, target, data, value, self._timestamp)
            reason = decode_revert(_replay(self._state(), transaction).output)
        raise Reverted(reason)

    @override
    def storage_at(self, address: Addressable, slot: int) -> int:
        words = self._state().account(address_bytes(address)).words
        return unpack(dict(words).get(pack(slot), b""))

    @override
    def set_storage(self, address: Addressable, slot: int, word: int) -> None:
        old = self._state().account(address_bytes(address))
        words = dict(old.words) | {pack(slot): pack(word)}
        self._put(address, replace(old, words=list(words.items())))

    @override
    def balance(self, address: Addressable) -> int:
        return self._state().account(address_bytes(address)).balance

    @override
    def set_balance(self, address: Addressable, wei: int) -> None:
        old = self._state().account(address_bytes(address))
        self._put(address, replace(old, balance=wei))

    @override
    def code_at(self, address: Addressable) -> bytes:
        return self._state().account(address_bytes(address)).code

    @override
    def set_code(self, address: Addressable, code: bytes) -> None:
        old = self._state().account(address_bytes(address))
        self._put(address, replace(old, code=code))

    @override
    def snapshot(self) -> object:
        return self._timestamp, self._state()

    @override
    def restore(self, mark: object) -> None:
        if not isinstance(mark, tuple):
            raise EvmError("this is not a mark of an in-process engine's state")
        self._timestamp, state = mark
        self._load(state)

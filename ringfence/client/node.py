"""A chain as the client sees it, and what sends transactions to it.

`Web3Node` and `Web3Sender` speak to a node through web3.py; `ringfence.client.engines` has the same
over the engines of `ringfence.evm`; anything else with these few methods will do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from hexbytes import HexBytes
from requests.exceptions import RequestException
from web3 import Web3
from web3.exceptions import ContractLogicError, TimeExhausted, Web3Exception, Web3RPCError

from ringfence.client.errors import BalanceError, NodeError, TransactionError
from ringfence.client.signing import Signer, fee_fields, gas_limit, key_signer, revert_reason
from ringfence.client.units import number_text, scaled
from ringfence.evm.abi import address_bytes, checksum
from ringfence.evm.engine import Log
from ringfence.evm.errors import Reverted

_Answer = TypeVar("_Answer")

Fact: TypeAlias = tuple[str | None, str | None]
"""What was asked for, and what may be, in words; None where there is nothing to tell."""

Facts: TypeAlias = Mapping[str, Fact]
"""Reason -> what to tell when the contract says that."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction to send: address, data, wei, and in words what it does."""

    to: str
    data: bytes
    what: str
    value: int = 0
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that was mined and succeeded."""

    tx_hash: str
    gas_used: int
    logs: tuple[Log, ...] = field(repr=False)


class Node(Protocol):
    """A chain to read from."""

    @property
    def chain_id(self) -> int:
        """The chain's id."""

    def now(self) -> int:
        """Return the time of the latest block, unix seconds."""

    def call(self, to: str, data: bytes, *, sender: str | None = None, value: int = 0) -> bytes:
        """Run a call that changes nothing; raise Reverted when it reverts."""

    def code(self, address: str) -> bytes:
        """Return the code at an address."""

    def balance(self, address: str) -> int:
        """Return what an account holds, in wei."""

    def logs(
        self,
        addresses: Sequence[str],
        topics: Sequence[Sequence[bytes] | None],
        since: int = 0,
    ) -> list[Log]:
        """Return the logs of contracts from a block on.

        `topics` holds for each place the topics accepted there, None for any.
        """


class Sender(Protocol):
    """An account that signs and sends."""

    @property
    def address(self) -> str:
        """The checksummed address."""

    def send(self, transaction: Transaction) -> Receipt:
        """Send a transaction and wait until it is mined.

        Raises Reverted when it would fail, TransactionError when it was mined and did, BalanceError
        when the account cannot pay for it.
        """


def _node_error(error: Exception) -> NodeError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return NodeError(f"the node does not answer: {text}; check the network and its address")


_UNREACHABLE = (RequestException, ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Web3Node:
    """A node behind web3.py. `span` is how many blocks are asked for logs at once at first."""

    web3: Web3
    span: int = 100_000

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(self._ask(lambda: self.web3.eth.chain_id))

    def now(self) -> int:
        """Return the time of the latest block, unix seconds."""
        return int(self._ask(lambda: self.web3.eth.get_block("latest"))["timestamp"])

    def call(self, to: str, data: bytes, *, sender: str | None = None, value: int = 0) -> bytes:
        """Run a call that changes nothing; raise Reverted when it reverts."""
        fields: Any = {"to": to, "data": data, "value": value}
        if sender is not None:
            fields["from"] = sender
        try:
            return bytes(self._ask(lambda: self.web3.eth.call(fields)))
        except (ContractLogicError, Web3RPCError) as error:
            raise Reverted(revert_reason(error)) from None

    def code(self, address: str) -> bytes:
        """Return the code at an address."""
        return bytes(self._ask(lambda: self.web3.eth.get_code(Web3.to_checksum_address(address))))

    def balance(self, address: str) -> int:
        """Return what an account holds, in wei."""
        return int(self._ask(lambda: self.web3.eth.get_balance(Web3.to_checksum_address(address))))

    def logs(
        self,
        addresses: Sequence[str],
        topics: Sequence[Sequence[bytes] | None],
        since: int = 0,
    ) -> list[Log]:
        """Return the logs of contracts from a block on, in as many pieces as the node wants."""
        wanted = [one if one is None else ["0x" + each.hex() for each in one] for one in topics]
        last = int(self._ask(lambda: self.web3.eth.block_number))
        found: list[Log] = []
        span = self.span
        while since <= last:
            until = min(since + span - 1, last)
            asked: Any = {"address": list(addresses), "topics": wanted} | {
                "fromBlock": hex(since),
                "toBlock": hex(until),
            }
            try:
                raw = self._ask(partial(self.web3.eth.get_logs, asked))
            except Web3RPCError as error:
                # Providers bound the blocks or the logs of one answer, each in words of its own.
                if span == 1:
                    raise _node_error(error) from None
                span = max(span // 4, 1)
                continue
            found += [
                Log(one["address"], tuple(map(bytes, one["topics"])), bytes(one["data"]))
                for one in raw
            ]
            since = until + 1
        return found

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except _UNREACHABLE as error:
            raise _node_error(error) from None


@dataclass(frozen=True, slots=True)
class Web3Sender:
    """An account on a node: `signer` signs; without one the node does, as development nodes do.

    `timeout` is how long a transaction may wait, in seconds.
    """

    web3: Web3
    account: str
    signer: Signer | None = None
    timeout: float = 300.0

    @property
    def address(self) -> str:
        """The checksummed address."""
        return checksum(address_bytes(self.account))

    def send(self, transaction: Transaction) -> Receipt:
        """Send a transaction and wait until it is mined."""
        try:
            fields = self._fields(transaction)
            tx_hash = self._send(fields)
            receipt = self.web3.eth.wait_for_transaction_receipt(
                HexBytes(tx_hash), timeout=self.timeout
            )
        except TimeExhausted:
            raise TransactionError(
                f"{transaction.what}: not mined within {self.timeout:g} s; look at it in the "
                "wallet before sending it again"
            ) from None
        except ContractLogicError as error:
            raise Reverted(revert_reason(error)) from None
        except Web3RPCError as error:
            raise self._refused(transaction, error) from None
        except _UNREACHABLE as error:
            raise _node_error(error) from None
        if receipt["status"] != 1:
            why = self._why(fields, int(receipt["blockNumber"]))
            raise TransactionError(
                f"{transaction.what}: mined in block {receipt['blockNumber']} and failed{why}; "
                "the chain had moved on, quote it again"
            )
        logs = tuple(
            Log(one["address"], tuple(map(bytes, one["topics"])), bytes(one["data"]))
            for one in receipt["logs"]
        )
        return Receipt("0x" + tx_hash.hex(), int(receipt["gasUsed"]), logs)

    def _fields(self, transaction: Transaction) -> dict[str, Any]:
        eth = self.web3.eth
        fields: dict[str, Any] = {
            "from": self.address,
            "to": transaction.to,
            "data": transaction.data,
            "value": transaction.value,
        }
        fields["gas"] = gas_limit(eth.estimate_gas(fields))  # type: ignore[arg-type]
        if self.signer is None:
            return fields
        fields |= fee_fields(self.web3)
        sender = Web3.to_checksum_address(self.address)
        fields["nonce"] = eth.get_transaction_count(sender, "pending")
        fields["chainId"] = eth.chain_id
        return fields

    def _send(self, fields: Mapping[str, Any]) -> bytes:
        if self.signer is None:
            return bytes(self.web3.eth.send_transaction(fields))  # type: ignore[arg-type]
        return bytes(self.web3.eth.send_raw_transaction(self.signer(fields)))

    def _why(self, fields: Mapping[str, Any], block: int) -> str:
        """Return why a transaction failed in its block, as far as a call there tells."""
        wanted: Any = {name: fields[name] for name in ("from", "to", "data", "value", "gas")}
        try:
            self.web3.eth.call(wanted, block)
        except (ContractLogicError, Web3RPCError) as error:
            return f": {revert_reason(error)}"
        return ""

    def _refused(self, transaction: Transaction, error: Web3Exception) -> Exception:
        reason = revert_reason(error)
        if "insufficient funds" not in reason.lower():
            return Reverted(reason)
        held = self.web3.eth.get_balance(Web3.to_checksum_address(self.address))
        return BalanceError(
            f"{transaction.what}: {self.address} holds {number_text(scaled(held, 18), 6)} ether, "
            "too little to pay for the transaction; send it more"
        )


def key_sender(web3: Web3, key: str) -> Web3Sender:
    """Return the sender of a private key, in hex: signs here, and hands out the signature only."""
    account = web3.eth.account.from_key(key)
    return Web3Sender(web3, account.address, key_signer(account))

"""A deployer over a node: web3.py for the node, any signer for the account.

Ape's accounts, a key of eth_account, a hardware wallet: whatever turns the fields of a transaction
into signed bytes. The hash of a transaction is known before it is sent, so none is ever lost.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak
from requests.exceptions import RequestException
from web3 import Web3
from web3.exceptions import (
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3RPCError,
)

from ringfence.client.signing import (
    Signer,
    fee_fields,
    gas_limit,
    highest_price,
    revert_reason,
)
from ringfence.deploy.deployer import Mined, Signed, digest
from ringfence.deploy.errors import TransactionError
from ringfence.evm.errors import Reverted

_KNOWN = ("already known", "already imported", "nonce too low")
_FIRST_POLL, _LAST_POLL = 0.01, 2.0
"""Seconds between looks for a receipt: local chains answer at once, public ones in seconds."""


@dataclass(slots=True)
class Web3Deployer:
    """An account on a node. `timeout` is how long a transaction may wait, in seconds."""

    web3: Web3
    account: str
    signer: Signer
    timeout: float = 600.0

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(self.web3.eth.chain_id)

    def block(self) -> int:
        """Return the number of the latest block."""
        return int(self.web3.eth.block_number)

    def nonce(self) -> int:
        """Return how many transactions of the account have been mined."""
        return int(self.web3.eth.get_transaction_count(self._address))

    def balance(self) -> int:
        """Return what the account holds, in wei."""
        return int(self.web3.eth.get_balance(self._address))

    def gas_price(self) -> int:
        """Return what a unit of gas may cost now, in wei: twice the base fee, and a tip."""
        return highest_price(fee_fields(self.web3))

    def code(self, address: str) -> bytes:
        """Return the code at an address."""
        return bytes(self.web3.eth.get_code(Web3.to_checksum_address(address)))

    def call(self, to: str, data: bytes) -> bytes:
        """Run a call from the account that changes nothing; raise Reverted with its reason."""
        fields: Any = {"from": self._address, "to": to, "data": data}
        try:
            return bytes(self.web3.eth.call(fields))
        except (ContractLogicError, Web3RPCError) as error:
            raise Reverted(revert_reason(error)) from None

    def sign(self, to: str | None, data: bytes, nonce: int, value: int = 0) -> Signed:
        """Return a transaction ready to be sent; raise TransactionError when it would fail."""
        fields: dict[str, Any] = {
            "from": self._address,
            "data": data,
            "value": value,
            "nonce": nonce,
        }
        if to is not None:
            fields["to"] = to
        try:
            estimate = int(self.web3.eth.estimate_gas(fields))  # type: ignore[arg-type]
        except (ContractLogicError, Web3RPCError) as error:
            raise TransactionError(f"it would fail: {revert_reason(error)}") from None
        gas, fees, balance = gas_limit(estimate), fee_fields(self.web3), self.balance()
        price = highest_price(fees)
        if gas * price + value > balance:
            raise TransactionError(
                f"account {self.account} holds {Web3.from_wei(balance, 'ether')} ether and this "
                f"may cost {Web3.from_wei(gas * price + value, 'ether')}; send it more"
            )
        fields |= {"gas": gas, "chainId": self.chain_id, **fees}
        raw = self.signer(fields)
        return Signed("0x" + keccak(raw).hex(), nonce, to, data, value, raw)

    def send(self, signed: Signed) -> None:
        """Hand a transaction to the node; one that it knows already is left alone."""
        try:
            self.web3.eth.send_raw_transaction(signed.raw)
        except (Web3RPCError, ValueError) as error:
            text = str(error).lower()
            if not any(known in text for known in _KNOWN):
                raise TransactionError(f"the node refused the transaction: {error}") from None

    def settle(self, tx_hash: str, nonce: int, since: int) -> Mined | None:
        """Wait for a transaction, or for the one that took its nonce; None when neither exists."""
        deadline, pause = time.monotonic() + self.timeout, _FIRST_POLL
        while True:
            if (mined := self._mined(tx_hash)) is not None:
                return mined
            if self.nonce() > nonce:
                return self._mined(tx_hash) or self._by_nonce(nonce, since)
            if not self._is_waiting(tx_hash):
                return None
            if time.monotonic() > deadline:
                raise TransactionError(
                    f"transaction {tx_hash} has been waiting for {self.timeout:.0f} s; run this "
                    "again later, or speed it up in the wallet and then run this again"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LAST_POLL)

    @property
    def _address(self) -> ChecksumAddress:
        return Web3.to_checksum_address(self.account)

    def _is_waiting(self, tx_hash: str) -> bool:
        try:
            self.web3.eth.get_transaction(tx_hash)  # type: ignore[arg-type]
        except TransactionNotFound:
            return False
        return True

    def _mined(self, tx_hash: str) -> Mined | None:
        try:
            receipt = self.web3.eth.get_transaction_receipt(tx_hash)  # type: ignore[arg-type]
            sent = self.web3.eth.get_transaction(tx_hash)  # type: ignore[arg-type]
        except TransactionNotFound:
            return None
        created = receipt.get("contractAddress")
        return Mined(
            tx_hash=tx_hash,
            block=int(receipt["blockNumber"]),
            success=receipt["status"] == 1,
            created=str(created) if created else None,
            digest=digest(sent.get("to"), bytes(sent["input"])),
        )

    def _by_nonce(self, nonce: int, since: int) -> Mined | None:
        """Find the transaction that used a nonce, by halving the blocks since it was free."""
        low, high = since, self.block()
        try:
            while high - low > 1:
                middle = (low + high) // 2
                if self.web3.eth.get_transaction_count(self._address, middle) > nonce:
                    high = middle
                else:
                    low = middle
            found = self.web3.eth.get_block(high, full_transactions=True)
        except (Web3RPCError, BlockNotFound) as error:
            raise TransactionError(
                f"transaction {nonce} of {self.account} was replaced by another, and the node does "
                f"not tell by which ({error}); use a node that keeps the state of past blocks"
            ) from None
        for sent in found["transactions"]:
            if isinstance(sent, Mapping) and (sent["from"], sent["nonce"]) == (self.account, nonce):
                return self._mined(Web3.to_hex(sent["hash"]))
        return None


def connection_problem(error: Exception) -> str | None:
    """Return a line for an error that means the node cannot be reached, None for any other."""
    if isinstance(error, ConnectionError | TimeoutError | RequestException):
        return "the node does not answer; check that it runs and that --network names it"
    return None

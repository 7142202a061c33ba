"""Calls to contracts by name, and plans: the transactions of one wish, checked before sending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringfence.client.abi import interface
from ringfence.client.errors import BalanceError, DeploymentError, InputError
from ringfence.client.node import Facts, Node, Receipt, Sender, Transaction
from ringfence.client.refusals import REFUSALS, RefusedError, refusal
from ringfence.client.refusals.vault import TokenTransferError
from ringfence.client.units import Token
from ringfence.evm.abi import AbiValue
from ringfence.evm.errors import EncodingError, Reverted


def read(
    node: Node, contract: str, address: str, name: str, *arguments: AbiValue, sender: str = ""
) -> AbiValue:
    """Return what a function of a contract says, from any account unless `sender` is given.

    Raises RefusedError when it reverts, DeploymentError when there is no such contract, InputError
    when an argument does not fit.
    """
    function = interface(contract).function(name, len(arguments))
    try:
        data = function.encode(*arguments)
    except EncodingError as error:
        raise InputError(f"{name}: {error}; pass what fits") from None
    try:
        answer = node.call(address, data, sender=sender or None)
    except Reverted as error:
        raise refusal(error.reason) from None
    try:
        return function.decode(answer)
    except EncodingError:
        raise DeploymentError(
            f"there is no {contract} at {address} on chain {node.chain_id}; check the address "
            "and the network"
        ) from None


def transaction(
    contract: str,
    address: str,
    what: str,
    name: str,
    *arguments: AbiValue,
    value: int = 0,
    facts: Facts | None = None,
) -> Transaction:
    """Return a transaction that calls a contract's function; raise InputError for a bad value."""
    try:
        data = interface(contract).encode(name, *arguments)
    except EncodingError as error:
        raise InputError(f"{what}: {error}; pass what fits") from None
    return Transaction(address, data, what, value, facts or {})


def balance_of(node: Node, token: Token, account: str) -> int:
    """Return how much of a token an account holds, token units."""
    return int(read(node, "ERC20", token.address, "balanceOf", account))


def approvals(
    node: Node, token: Token, owner: str, spender: str, amount: int, who: str
) -> tuple[Transaction, ...]:
    """Return the approvals that let `spender` take `amount` token units; none where it may already.

    `who` names the spender in words. Raises BalanceError when the owner holds less than that.
    """
    held = balance_of(node, token, owner)
    if held < amount:
        raise BalanceError(
            f"{owner} holds {token.text(held)}, {token.text(amount)} are needed; send it "
            f"{token.text(amount - held)} more, or take a smaller amount"
        )
    allowed = int(read(node, "ERC20", token.address, "allowance", owner, spender))
    if allowed >= amount:
        return ()

    def approve(units: int) -> Transaction:
        what = f"let {who} take {token.text(units)}"
        return transaction("ERC20", token.address, what, "approve", spender, units)

    wanted = approve(amount)
    if allowed:
        try:
            node.call(wanted.to, wanted.data, sender=owner)
        except Reverted:
            # Some tokens change an allowance from and to zero only.
            return approve(0), wanted
    return (wanted,)


_UNTIL_APPROVED = (TokenTransferError.reason, "permit is invalid", "caller lacks permission")


@dataclass(frozen=True, slots=True)
class Plan:
    """Transactions that an account sends one after the other; the last one is what it is about."""

    node: Node
    owner: str
    transactions: tuple[Transaction, ...]

    def check(self) -> None:
        """Raise RefusedError if the last transaction would fail, as far as can be told by now.

        What only the transactions before it make possible is not taken for a failure.
        """
        *first, last = self.transactions
        try:
            self.node.call(last.to, last.data, sender=self.owner, value=last.value)
        except Reverted as error:
            if first and (error.reason not in REFUSALS or error.reason in _UNTIL_APPROVED):
                return
            raise explain(last, error) from None

    def send(
        self, sender: Sender, told: Callable[[Transaction, Receipt], None] | None = None
    ) -> tuple[Receipt, ...]:
        """Check, then send everything in turn; `told` hears of each that was mined.

        Raises RefusedError with the contract's reason before anything is sent, wherever it can be
        known then, and otherwise before the transaction that would fail is.
        """
        if sender.address != self.owner:
            raise InputError(
                f"the plan is {self.owner}'s, the sender is {sender.address}; use the account "
                "that it was made for"
            )
        self.check()
        receipts = []
        for one in self.transactions:
            try:
                self.node.call(one.to, one.data, sender=self.owner, value=one.value)
                receipt = sender.send(one)
            except Reverted as error:
                raise explain(one, error) from None
            receipts.append(receipt)
            if told is not None:
                told(one, receipt)
        return tuple(receipts)


def explain(failed: Transaction, error: Reverted) -> RefusedError:
    """Return the exception for a revert, with value and limit where the transaction knows them."""
    return refusal(error.reason, *failed.facts.get(error.reason, (None, None)))

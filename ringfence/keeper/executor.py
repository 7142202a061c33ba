"""The only part of the keeper that signs and sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ringfence.client.abi import interface
from ringfence.deploy.deployer import Deployer, Mined, Signed
from ringfence.deploy.errors import TransactionError
from ringfence.deploy.tokens import allowance, erc20_call
from ringfence.keeper.decide import Action


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action: its transaction's hash, "" if it was not sent, and why not."""

    action: Action
    tx_hash: str
    success: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Executor:
    """Sends actions from one account; profits go to it."""

    account: Deployer
    liquidator: str

    def calldata(self, action: Action) -> bytes:
        """Return the call of the Liquidator that carries an action out."""
        targets = [(one.position_id, one.max_repay, one.min_profit) for one in action.targets]
        receiver, contract = self.account.account, interface("Liquidator")
        if len(targets) == 1:
            return contract.encode("liquidate", action.vault, targets[0], action.path, receiver)
        batch = (action.vault, targets, action.path, receiver, action.min_profit)
        return contract.encode("liquidate_batch", *batch)

    def allow(self, token: str, amount: int) -> None:
        """Let the Liquidator take up to `amount` units of losses; raise TransactionError."""
        if (
            amount
            and allowance(self.account, token, self.account.account, self.liquidator) < amount
        ):
            data = erc20_call("approve(address,uint256)", self.liquidator, amount)
            signed = self.account.sign(token, data, self.account.nonce())
            mined = self._send([signed])[0]
            if mined is None or not mined.success:
                raise TransactionError(f"{token} did not take the keeper's approval; try again")

    def execute(self, actions: Sequence[Action]) -> list[Outcome]:
        """Sign all, send all, wait for all; one that would fail is not sent."""
        nonce = self.account.nonce()
        signed: list[tuple[Action, Signed]] = []
        outcomes: dict[int, Outcome] = {}
        for index, action in enumerate(actions):
            try:
                one = self.account.sign(self.liquidator, self.calldata(action), nonce + len(signed))
            except TransactionError as error:
                outcomes[index] = Outcome(action, "", success=False, reason=str(error))
            else:
                signed.append((action, one))
        mined = self._send([one for _action, one in signed])
        sent = iter(
            Outcome(
                action,
                one.tx_hash,
                success=done is not None and done.success,
                reason=done.reason if done else "the node lost it",
            )
            for (action, one), done in zip(signed, mined, strict=True)
        )
        return [outcomes.get(index) or next(sent) for index in range(len(actions))]

    def _send(self, signed: Sequence[Signed]) -> list[Mined | None]:
        since = self.account.block()
        for one in signed:
            self.account.send(one)
        return [self.account.settle(one.tx_hash, one.nonce, since) for one in signed]

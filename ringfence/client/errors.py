"""What can go wrong before a contract is asked: each message gives the value and the next step."""

from __future__ import annotations

from ringfence.errors import RingfenceError


class ClientError(RingfenceError):
    """The base of the client's own errors; refusals by a contract are `RefusedError`."""


class InputError(ClientError, ValueError):
    """An amount, a leverage, a share, a time, a salt or an address does not read as one."""


class NodeError(ClientError):
    """A node cannot be reached, or answers what makes no sense."""


class WrongChainError(ClientError):
    """A node is on another chain than the deployment."""


class DeploymentError(ClientError):
    """A deployment lacks what was asked for, or an address holds no such contract."""


class BalanceError(ClientError):
    """An account holds too little of a token or of ether."""


class AllowanceError(ClientError):
    """An account lets a contract take too little of a token."""


class TransactionError(ClientError):
    """A transaction was mined and failed, or was not mined in time."""

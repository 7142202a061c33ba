"""What can go wrong while deploying: each message gives the value, the limit and the next step."""

from __future__ import annotations

from ringfence.errors import RingfenceError


class DeployError(RingfenceError):
    """The base of every error of `ringfence.deploy`."""


class FileError(DeployError):
    """A market file, a chain file or a record does not say what it must; one problem a line."""

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{name}: {problem}" for problem in problems))
        self.name = name
        self.problems = problems


class PlanError(DeployError):
    """The plan does not fit the chain: a feed is missing, a token differs, a vault is another."""


class TransactionError(DeployError):
    """A transaction could not be sent, or was mined and failed."""

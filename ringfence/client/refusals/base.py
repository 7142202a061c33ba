"""What all refusals have in common, and the table of them by the contracts' reasons."""

from __future__ import annotations

from typing import ClassVar

from ringfence.errors import RingfenceError

REFUSALS: dict[str, type[RefusedError]] = {}
"""Reason -> the class of its exception."""


class RefusedError(RingfenceError):
    """A contract refuses a call, or would: nothing was changed.

    `reason` is the contract's word for why; `value` and `limit` are what was asked for and what
    may be, in words, None where nobody knows; `step` is what to do next.
    """

    reason: ClassVar[str] = ""
    step: ClassVar[str] = "check the arguments"

    def __init_subclass__(cls, reason: str = "", step: str = "") -> None:
        if reason in REFUSALS:
            raise TypeError(f"{reason!r} has an exception already: {REFUSALS[reason].__name__}")
        cls.reason, cls.step = reason, step
        if reason:
            REFUSALS[reason] = cls

    def __init__(self, value: str | None = None, limit: str | None = None) -> None:
        text = self.reason
        if value is not None:
            text += f": {value}"
        if limit is not None:
            text += f" (limit {limit})"
        super().__init__(f"{text}; {self.step}")
        self.value = value
        self.limit = limit


class UnknownRefusalError(RefusedError):
    """Another contract reverted, such as a token, or nothing was said; `said` is its word."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.said = said
        words = f"the call reverts: {said}" if said else "the call reverts and says nothing"
        self.args = (f"{words}; check balances, allowances and the addresses called",)


def refusal(reason: str, value: str | None = None, limit: str | None = None) -> RefusedError:
    """Return the exception of a contract's reason; UnknownRefusalError for any other."""
    kind = REFUSALS.get(reason)
    return UnknownRefusalError(reason) if kind is None else kind(value, limit)

"""Figures beside their targets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `target` is the most it may be, or with `at_least` the least.

    A figure without a target is only told.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def missed(self) -> bool:
        """Return whether it is beyond its target."""
        if self.target is None:
            return False
        return self.value < self.target if self.at_least else self.value > self.target

    @property
    def bound(self) -> str:
        """The target as people read it, empty without one."""
        if self.target is None:
            return ""
        return f"{'>=' if self.at_least else '<='} {self.text(self.target)}"

    def text(self, value: float) -> str:
        """Return a value in the figure's unit."""
        return f"{value:,.0f} {self.unit}" if value >= 1_000 else f"{value:,.3g} {self.unit}"

"""The simulator's figures beside their targets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `target` is the least it may be, None for one that is only told."""

    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def missed(self) -> bool:
        """Return whether it falls short of its target."""
        return self.target is not None and self.value < self.target

    def text(self, value: float) -> str:
        """Return a value in the figure's unit."""
        return f"{value:,.0f} {self.unit}" if value >= 1_000 else f"{value:,.3g} {self.unit}"

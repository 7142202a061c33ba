"""What became of each position, and who bore what was lost on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ringfence.report.words import TIMES, number
from ringfence.sim.result import Liquidation, Position, Result
from ringfence.sim.wording import QUOTE, Lexicon, name_of

Outcome: TypeAlias = Literal["open", "closed", "part", "whole", "insolvent"]
"""What became of a position, a partial liquidation and a written-off loss told apart."""

OUTCOMES: Mapping[Outcome, str] = {
    "open": "never liquidated, open",
    "closed": "closed by its owner",
    "part": "liquidated in part, open",
    "whole": "liquidated whole",
    "insolvent": "liquidated, insolvent",
}

BEARERS = (
    "owner: price, interest, swap fees",
    "owner: bonus to the keeper",
    "owner: cut to the reserve",
    "reserve: loss past the collateral",
    "lenders: loss past the collateral",
)
"""Who bears a loss, in the order of `loss_parts`."""


@dataclass(frozen=True, slots=True)
class Story:
    """A position with its own liquidations and what became of it."""

    position: Position
    liquidations: tuple[Liquidation, ...]
    outcome: Outcome

    @property
    def label(self) -> str:
        """The position's name, side and opening leverage."""
        one = self.position
        return f"{name_of(one)} {one.side} {number(one.leverage, 1)}{TIMES}"


def stories(result: Result) -> tuple[Story, ...]:
    """Return each position with its liquidations, in the result's order."""
    found = liquidations_of(result)
    own = [found.get((one.market, one.position_id), ()) for one in result.positions]
    return tuple(
        Story(position, liquidations, outcome_of(position, liquidations))
        for position, liquidations in zip(result.positions, own, strict=True)
    )


def loss_parts(story: Story, lexicon: Lexicon) -> tuple[float, float, float, float, float]:
    """Return who bore a position's loss, whole USDC, in the order of the figure's legend.

    A bonus is the owner's loss up to the equity there was, and up to the position's loss in all;
    what an insolvent position's bonus takes beyond the equity is part of the loss written off.
    """
    position, asset = story.position, lexicon.asset_of(story.position.market)

    def worth(units: int, one: Liquidation) -> float:
        return lexicon.in_quote(units, asset, one.price)

    to_keeper = to_reserve = 0.0
    for one in story.liquidations:
        seized = lexicon.in_quote(one.seized, lexicon.collateral_of(one.market), one.price)
        cut = worth(one.cut, one)
        bonus = max(0.0, seized - worth(one.repaid, one))
        borne = (
            bonus if one.kind != "insolvent" else min(bonus, seized * max(0.0, 1 - one.ltv_before))
        )
        to_reserve += min(cut, borne)
        to_keeper += borne - min(cut, borne)
    owner = max(0.0, -float(lexicon.whole(position.result, QUOTE)))
    paid = to_keeper + to_reserve
    share = min(1.0, owner / paid) if paid else 0.0
    return (
        owner - paid * share,
        to_keeper * share,
        to_reserve * share,
        sum(worth(one.loss_to_reserve, one) for one in story.liquidations),
        sum(worth(one.loss_to_lenders, one) for one in story.liquidations),
    )


def outcome_of(position: Position, liquidations: tuple[Liquidation, ...]) -> Outcome:
    """Return what became of a position, given its own liquidations."""
    if position.status == "liquidated":
        return "insolvent" if any(one.kind == "insolvent" for one in liquidations) else "whole"
    if position.status == "closed":
        return "closed"
    return "part" if liquidations else "open"


def liquidations_of(
    result: Result,
) -> Mapping[tuple[str, int], tuple[Liquidation, ...]]:
    """Return each liquidated position's liquidations under its market and id."""
    found: dict[tuple[str, int], tuple[Liquidation, ...]] = {}
    for one in result.liquidations:
        key = (one.market, one.position_id)
        found[key] = (*found.get(key, ()), one)
    return found

"""The report of a run: one HTML page that reads alone, offline, in light and dark and on paper.

The page needs the extra `report` (Jinja2, and Plotly for the script that draws). It is a function
of the result alone: the same result gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from jinja2 import Environment

from ringfence.report import frame
from ringfence.report.words import MISSING, TIMES, clock, number, percent
from ringfence.sim.plots import figures
from ringfence.sim.plots.engine import engine_panels
from ringfence.sim.proof import Proof, prove
from ringfence.sim.result import Action, Books, Market, Result
from ringfence.sim.story import BEARERS, OUTCOMES, Story, loss_parts, stories
from ringfence.sim.wording import QUOTE, Lexicon, name_of, salt_of

_TEMPLATES = Path(__file__).parent / "templates"

CONTENTS = {
    "price": "Price",
    "positions": "Positions",
    "engine": "Engine",
    "losses": "Losses",
    "lenders": "Lenders",
    "keeper": "Keeper",
    "proof": "Proof",
    "conservation": "Conservation",
    "checks": "Checks",
}
"""The page's places and what they are called."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure at the head of the page, what it counts, and a remark."""

    value: str
    label: str
    note: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a vault's books, asset units as text."""

    name: str
    before: str
    earned: str
    lost: str
    after: str


def render(result: Result, build: Mapping[str, str] | None = None) -> str:
    """Return the report of a result as one HTML page of about 6 MB.

    `build` names what the run was made with ("vyper" -> "0.4.3"), in the order of the page.
    """
    lexicon = Lexicon.of(result)
    told = stories(result)
    proofs = tuple(prove(one, lexicon) for one in result.liquidations)
    panels = engine_panels(result)
    page = _environment(lexicon).get_template("report.html.j2")
    return page.render(
        result=result,
        tiles=tiles(result, proofs),
        failed=[check.name for check in result.checks if not check.held],
        stories=told,
        history=[summarise(story) for story in told],
        totals=loss_totals(told, lexicon),
        books={market.name: book_rows(market, lexicon) for market in result.markets},
        proofs=proofs,
        sound=sum(proof.held for proof in proofs),
        panels=panels,
        **frame.framed(
            "report of a run",
            result.title,
            (headline(result), aftermath(result, proofs)),
            _facts(result, build or {"versions, code hash": MISSING}),
            CONTENTS,
            panels,
            figures(result, told),
        ),
    )


def _facts(result: Result, build: Mapping[str, str]) -> dict[str, str]:
    """Return what the run was made of, by name."""
    return {
        "scenario": result.scenario,
        "seed": str(result.seed),
        "chain": str(result.chain_id),
        "steps": str(len(result.steps)),
        "transactions": number(result.transactions, 0),
        "wall time": f"{number(result.seconds, 1)} s",
        **build,
    }


def _environment(lexicon: Lexicon) -> Environment:
    """Return the frame's Jinja with the page's own filters."""
    environment = frame.environment(_TEMPLATES)
    environment.filters.update(
        amount=lexicon.amount,
        exact=lexicon.exact,
        clock=clock,
        number=number,
        percent=percent,
        name_of=name_of,
        salt=lambda position: salt_of(position.position_id),
        ether=lambda wei: number(Decimal(f"{wei}E-18"), 6),
    )
    environment.globals.update(
        MISSING=MISSING,
        QUOTE=QUOTE,
        OUTCOMES=OUTCOMES,
        collateral_of=lexicon.collateral_of,
        asset_of=lexicon.asset_of,
        wallet=lambda action: wallet(action, lexicon),
    )
    return environment


def headline(result: Result) -> str:
    """Return what happened in one sentence."""
    moved = "No price path was recorded"
    if result.steps:
        first, last = result.steps[0], result.steps[-1]
        turn = [one for one in result.steps if one.time <= result.crash_end or one is first][-1]
        change = turn.market / first.market - 1
        verb = "fell" if change < 0 else "rose"
        after = "fell" if last.market < turn.market else "rose"
        moved = (
            f"WETH {verb} {percent(abs(change))} in {number(turn.time / 3_600, 0)} hours, from "
            f"{number(first.market)} to {number(turn.market)} {QUOTE}, then {after} to "
            f"{number(last.market)}"
        )
    hit = len({(one.market, one.position_id) for one in result.liquidations})
    return (
        f"{moved}: of {len(result.positions)} positions in {_accounts(result)} accounts {hit} were "
        f"liquidated, and {_kept(result)} accounts that lost a position kept another."
    )


def _accounts(result: Result) -> int:
    return len({position.owner for position in result.positions})


def _kept(result: Result) -> int:
    """Count the owners of a position taken whole who still had one, or closed one themselves."""
    lost = {one.owner for one in result.positions if one.status == "liquidated"}
    return len(lost & {one.owner for one in result.positions if one.status != "liquidated"})


def aftermath(result: Result, proofs: Sequence[Proof]) -> str:
    """Return who bore what was lost past the collateral, and what the proofs say, in words."""
    lexicon = Lexicon.of(result)
    asset = {market.name: market.asset for market in result.markets}
    parts = [
        sum(
            lexicon.in_quote(getattr(one, part), asset.get(one.market, ""), one.price)
            for one in result.liquidations
        )
        for part in ("loss_to_reserve", "loss_to_lenders")
    ]
    losses = "No liquidation left a loss."
    if sum(parts) > 0:
        losses = (
            f"Losses past the collateral came to {number(sum(parts))} {QUOTE}: the reserves took "
            f"{number(parts[0])}, lenders {number(parts[1])}."
        )
    sound = sum(proof.held for proof in proofs)
    if not proofs:
        return losses
    return (
        f"{losses} {sound} of {len(proofs)} liquidations are proved by their storage diffs to have "
        "changed one position's slot and the two words of the vault's books, nothing else."
    )


def tiles(result: Result, proofs: Sequence[Proof]) -> tuple[Tile, ...]:
    """Return the figures at the head of the page."""
    kinds = Counter(one.kind for one in result.liquidations)
    sides = Counter(one.side for one in result.positions)
    held = sum(check.held for check in result.checks)
    strays = sum(
        one.other_vaults + sum(word.name == "other" for word in one.words)
        for one in result.liquidations
    )
    return (
        Tile(f"{held}/{len(result.checks)}", "checks held", "every one by name below"),
        Tile(
            str(len(result.positions)), "positions", f"{sides['long']} long, {sides['short']} short"
        ),
        Tile(
            str(len(result.liquidations)),
            "liquidations",
            f"{kinds['partial']} partial, {kinds['full']} full, {kinds['insolvent']} insolvent",
        ),
        Tile(
            str(strays),
            "stray words",
            f"changed by {len(proofs)} liquidations",
        ),
        Tile(
            number(Lexicon.of(result).whole(result.keeper.total, QUOTE), 0, plus=True),
            f"{QUOTE} to the keeper",
            "after gas, at the last price",
        ),
    )


def summarise(story: Story) -> tuple[str, ...]:
    """Return a position's actions in order, repetitions in a row counted, none of them broken."""
    runs: list[tuple[str, int]] = []
    for action in story.position.actions:
        kind = str(action.kind)
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + 1)
        else:
            runs.append((kind, 1))
    texts = (kind if times == 1 else f"{kind} {times}{TIMES}" for kind, times in runs)
    return tuple(text.replace(" ", "\u00a0") for text in texts)


def wallet(action: Action, lexicon: Lexicon) -> str:
    """Return what went from (positive) or to the owner's wallet, with its unit."""
    if action.margin == 0:
        return ""
    token = action.margin_token
    return f"{lexicon.amount(action.margin, token, plus=True)} {token}"


def loss_totals(told: Sequence[Story], lexicon: Lexicon) -> tuple[tuple[str, str], ...]:
    """Return who bore the losses, over all positions, whole USDC as text."""
    parts = [loss_parts(story, lexicon) for story in told]
    sums = [sum(one[index] for one in parts) for index in range(len(BEARERS))]
    rows = [(name, number(total)) for name, total in zip(BEARERS, sums, strict=True)]
    return (*rows, ("in all", number(sum(sums))))


def book_rows(market: Market, lexicon: Lexicon) -> tuple[Row, ...]:
    """Return a vault's books, before and after, with what came in and what was written off."""

    def row(name: str, before: int, after: int, lost: int | None = None) -> Row:
        earned = "" if lost is None else amount(after - before + lost, plus=True)
        gone = "" if lost is None else amount(-lost, plus=True)
        return Row(name, amount(before), earned, gone, amount(after))

    def amount(units: int, plus: bool = False) -> str:
        return lexicon.amount(units, market.asset, plus)

    first, last = market.before, market.after
    return (
        row("cash", first.cash, last.cash),
        row("total debt", first.debt, last.debt),
        row("lenders' claims", first.claims, last.claims, market.to_lenders_lost),
        row("reserve", first.reserve, last.reserve, market.to_reserve_lost),
        Row("supply index", _index(first), "", "", _index(last)),
    )


def _index(books: Books) -> str:
    return number(Decimal(f"{books.supply_index}E-18"), 9)
